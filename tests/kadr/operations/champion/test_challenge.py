"""Tests of champion promotion, rejection and rollback, including interruptions and MLflow store errors."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pyarrow as pa
import pytest
import yaml

from kadr.errors import ModelError
from kadr.index import Versions
from kadr.io.presets import set_value
from kadr.io.schemas import IMAGES, PREDICTIONS, RELEVANCE, read_table, write_table
from kadr.operations.champion import challenge as challenge_module
from kadr.operations.champion import champion_versions
from kadr.operations.champion.challenge import challenge
from kadr.operations.champion.champion_versions import current_version, read_record, roll_back
from kadr.operations.tracking.lineage import MODEL_ROLE, MODEL_TAG, ROLE_TAG, folder_digest
from kadr.operations.tracking.tracking_store import open_store
from kadr.params import EmbedImagesParams, EmbedTextsParams, load_params
from kadr.project import PROJECT

pytestmark = pytest.mark.filterwarnings("ignore")

OUTS = [
    *champion_versions.MODEL_FOLDERS,
    *(PROJECT.image_embeddings / "clip.parquet", PROJECT.text_embeddings / "clip.parquet"),
]
Run = Callable[[float], dict[str, Any]]


@pytest.fixture
def home(small_project: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project with DVC, an MLflow store, tables, vectors, and model folders that contain a text file."""
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    shutil.copy(project / "params.yaml", small_project)
    set_value("evaluate.n_bootstrap", "50", small_project / "params.yaml")
    clip = "{clip: {backend: open_clip, model: 'local-dir:models/clip', pretrained: null}}"
    for stage in ("embed_images", "embed_texts"):
        set_value(f"{stage}.encoders", clip, small_project / "params.yaml")
    set_image_checksums("checksum of")
    stage = {"cmd": "true", "outs": [str(out) for out in OUTS]}
    Path("dvc.yaml").write_text(yaml.safe_dump({"stages": {"all": stage}}))
    subprocess.run([sys.executable, "-m", "dvc", "init", "--no-scm", "-q"], check=True)
    monkeypatch.setattr(challenge_module, "register_model", register_version)
    with open_store():
        yield small_project


def set_image_checksums(prefix: str) -> None:
    images = read_table(PROJECT.images, IMAGES)
    checksums = pa.array([f"{prefix} {name}" for name in images["image_id"].to_pylist()])
    write_table(images.set_column(images.column_names.index("sha256"), "sha256", checksums), PROJECT.images, IMAGES)


def register_version(experiment: str, _images: EmbedImagesParams, _texts: EmbedTextsParams) -> tuple[str, str]:
    """Stand-in for `register_model` that does not log a model package of 30 MB."""
    client, digest = mlflow.MlflowClient(), folder_digest(PROJECT.relevance_model)
    name = f"kadr-{experiment}"
    for version in client.search_model_versions(f"name = '{name}'"):
        if version.tags[MODEL_TAG] == digest:
            return name, str(version.version)
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name)
    return name, str(client.create_model_version(name, "file:nowhere", tags={MODEL_TAG: digest}).version)


@pytest.fixture
def run(home: Path) -> Run:
    """Write the files of a challenger that predicts the relevance plus noise, and challenge the champion."""

    def run(noise: float) -> dict[str, Any]:
        for folder in champion_versions.MODEL_FOLDERS[:-1]:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "file").write_text(f"{folder.name} {noise}")
        relevance = read_table(PROJECT.relevance, RELEVANCE).to_pandas()
        score = relevance["relevance"] + noise * np.random.default_rng(0).normal(size=len(relevance))
        predicted = relevance.assign(score=score, fold=0)[PREDICTIONS.names]
        write_table(pa.Table.from_pandas(predicted), PROJECT.predictions / "model.parquet", PREDICTIONS)
        subprocess.run([sys.executable, "-m", "dvc", "commit", "-f", "-q"], check=True)
        return challenge(load_params())

    return run


def alias() -> str:
    return str(mlflow.MlflowClient().get_model_version_by_alias("kadr-sample", "champion").version)


def noise_in_use() -> str:
    """Return the noise of the champion version in use, and check that its folders belong to the same version."""
    artifacts = PROJECT.champion_artifacts()
    assert artifacts is not None
    folders = (artifacts.index, artifacts.text_encoders, artifacts.relevance, artifacts.clip)
    (noise,) = {(folder / "file").read_text().removeprefix(folder.name) for folder in folders}
    return noise.strip()


@pytest.mark.slow
def test_a_challenger_is_promoted_rejected_or_unchanged_and_can_be_rolled_back(run: Run, home: Path) -> None:
    first = run(0.3)
    assert (first["verdict"], first["reason"], first["champion"]) == ("promoted", "there was no champion", "v000001")
    assert (noise_in_use(), alias()) == ("0.3", "1")
    params = load_params(PROJECT.champion / "params.yaml")
    assert params.embed_images.encoders["clip"].model == "local-dir:models/.champion/v000001/clip"
    assert params.shared_encoders == ["clip"]
    again = run(0.3)
    assert (again["verdict"], again["reason"]) == ("unchanged", "this model is already in use as v000001")
    assert [version.name for version in Versions(PROJECT.champion).list_versions()] == ["v000001"]

    worse = run(3)
    assert worse["verdict"] == "rejected"
    assert "champion v000001" in worse["reason"]
    assert (noise_in_use(), alias(), current_version().name) == ("0.3", "1", "v000001")
    again = run(3)
    assert (again["verdict"], again["reason"]) == ("unchanged", f"this model was already rejected: {worse['reason']}")

    better = run(0.1)
    assert better["verdict"] == "promoted"
    assert {row["metric"]: row["difference"] > 0 for row in better["metrics"]} == {"tau_c": True, "tau_b": True}
    assert better["compared_pairs"]["n"] == len(read_table(PROJECT.relevance, RELEVANCE))
    drift = better["data_drift"]
    assert (drift["reference"], drift["action"]) == ("v000001", "nothing")
    assert {row["variable"]: row["drift"] for row in drift["variables"]} == dict.fromkeys(
        (
            "expert ratings",
            "crowd ratings",
            "relevance",
            "words per query",
            "image vectors (clip)",
            "text vectors (clip)",
        ),
        0.0,
    )
    assert (noise_in_use(), alias(), read_record(PROJECT.champion)["previous"]) == ("0.1", "2", "v000001")

    assert roll_back() == ("v000002", "v000001")
    assert (noise_in_use(), alias()) == ("0.3", "1")
    withdrawn = run(0.1)
    assert withdrawn["verdict"] == "unchanged"
    assert "this model is v000002, which was rolled back" in withdrawn["reason"]
    assert (noise_in_use(), alias()) == ("0.3", "1")
    with pytest.raises(ModelError, match=r"A version before v000001 does not exist\. The version in use is v000001"):
        roll_back()
    with pytest.raises(ModelError, match="Version v000009 does not exist"):
        roll_back("v000009")
    roll_back("v000002")
    assert (noise_in_use(), alias()) == ("0.1", "2")
    assert run(0.1)["reason"] == "this model is already in use as v000002"

    for noise in (0.09, 0.08, 0.07):
        run(noise)
    assert [version.name for version in Versions(PROJECT.champion).list_versions()] == ["v000003", "v000004", "v000005"]
    assert noise_in_use() == "0.07"


class Killed(BaseException):
    """An interruption that no error handler catches."""


@pytest.mark.slow
def test_an_interrupted_challenge_leaves_the_champion_complete_and_can_be_repeated(
    run: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(0.3)
    points = [
        (challenge_module, "compare_with_champion", 0),
        (challenge_module, "publish", 0),
        (champion_versions.shutil, "copytree", 2),
        (champion_versions, "write_json", 0),
        (champion_versions, "set_alias", 0),
        (Versions, "switch_to", 0),
        (challenge_module, "write_report", 0),
    ]
    for step, (module, name, n_calls) in enumerate(points):
        with monkeypatch.context() as patch:
            calls, function = iter(range(n_calls)), getattr(module, name)

            def interrupted(*args: Any, calls: Any = calls, function: Any = function, **kwargs: Any) -> Any:
                if next(calls, None) is None:
                    raise Killed
                return function(*args, **kwargs)

            patch.setattr(module, name, interrupted)
            with pytest.raises(Killed):
                run(0.1)
        expected = "0.3" if step < len(points) - 1 else "0.1"
        assert noise_in_use() == expected, name
    assert run(0.1)["verdict"] == "unchanged"  # the last interruption happened after the switch to the new version
    assert (noise_in_use(), alias()) == ("0.1", "2")
    assert not list(Versions(PROJECT.champion).home.glob("*.partial"))
    assert read_record(PROJECT.champion)["previous"] == "v000001"


@pytest.mark.slow
def test_a_challenger_without_common_pairs_is_rejected(run: Run, home: Path) -> None:
    run(0.3)
    set_image_checksums("another checksum of")
    lock = yaml.safe_load((PROJECT.champion / "dvc.lock").read_text())
    for out in lock["stages"]["all"]["outs"]:
        out["md5"] = "0" * 32  # as after `dvc gc`
    (PROJECT.champion / "dvc.lock").write_text(yaml.safe_dump(lock))
    report = run(0.1)
    assert [row["note"] for row in report["data_drift"]["variables"][-2:]] == [
        "not compared: the DVC cache no longer contains the champion's vectors"
    ] * 2
    assert report["verdict"] == "rejected"
    assert report["reason"] == "too few pairs for a comparison: 0 pairs have predictions from v000001"
    assert report["compared_pairs"]["n_excluded"] == len(read_table(PROJECT.relevance, RELEVANCE))
    shutil.rmtree(PROJECT.clip)
    with pytest.raises(ModelError, match=r"models/clip is missing, or dvc\.lock does not list it"):
        challenge(load_params())


@pytest.mark.slow
def test_the_mlflow_run_has_the_verdict_and_the_prefect_run_as_tags(
    run: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", "an-id")
    monkeypatch.setenv("KADR_FLOW_RUN_URL", "http://server/runs/an-id")
    PROJECT.relevance_model.mkdir(parents=True)
    (PROJECT.relevance_model / "file").write_text("relevance 0.3")
    mlflow.set_experiment("sample")
    tags = {MODEL_TAG: folder_digest(PROJECT.relevance_model), ROLE_TAG: MODEL_ROLE}
    with mlflow.start_run(tags=tags) as started:
        pass
    report = run(0.3)
    assert report["mlflow_run"] == started.info.run_id
    run_tags = mlflow.get_run(started.info.run_id).data.tags
    assert {key: value for key, value in run_tags.items() if key.startswith("refresh.")} == {
        "refresh.verdict": "promoted",
        "refresh.reason": "there was no champion",
        "refresh.champion": "v000001",
        "refresh.flow_run_id": "an-id",
        "refresh.flow_run_url": "http://server/runs/an-id",
    }


@pytest.mark.slow
def test_a_failing_store_does_not_stop_the_promotion(
    run: Run, home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (home / "broken.db").write_text("no database")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{home}/broken.db")
    assert run(0.3)["verdict"] == "promoted"
    assert noise_in_use() == "0.3"
    assert read_record(PROJECT.champion)["mlflow"] is None
    assert "MLflow did not record the registered model" in caplog.text
