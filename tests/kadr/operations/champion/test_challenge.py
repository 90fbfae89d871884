"""The champion's way: published whole, defended by the paired bootstrap, rolled back, at no moment half."""

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
from kadr.operations.champion import challenge as challenging
from kadr.operations.champion import champion as publishing
from kadr.operations.champion.challenge import challenge
from kadr.operations.champion.champion import champion, note_of, roll_back
from kadr.operations.tracking import recording
from kadr.operations.tracking.lineage import MODEL_TAG, ROLE_TAG, folder_digest
from kadr.params import Params, load_params
from kadr.project import PROJECT

pytestmark = pytest.mark.filterwarnings("ignore")

OUTS = [
    *publishing.PARTS,
    *(PROJECT.image_embeddings / "clip.parquet", PROJECT.text_embeddings / "clip.parquet"),
]
Run = Callable[[float], dict[str, Any]]


@pytest.fixture
def home(small_project: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project with DVC, an MLflow store, tables and vectors, and models that are files with a word."""
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    shutil.copy(project / "params.yaml", small_project)
    set_value("evaluate.n_bootstrap", "50", small_project / "params.yaml")
    clip = "{clip: {backend: open_clip, model: 'local-dir:models/clip', pretrained: null}}"
    for stage in ("embed_images", "embed_texts"):
        set_value(f"{stage}.encoders", clip, small_project / "params.yaml")
    images = read_table(PROJECT.images, IMAGES)
    shas = pa.array([f"sha of {name}" for name in images["image_id"].to_pylist()])
    write_table(images.set_column(images.column_names.index("sha256"), "sha256", shas), PROJECT.images, IMAGES)
    stage = {"cmd": "true", "outs": [str(out) for out in OUTS]}
    Path("dvc.yaml").write_text(yaml.safe_dump({"stages": {"all": stage}}))
    subprocess.run([sys.executable, "-m", "dvc", "init", "--no-scm", "-q"], check=True)
    monkeypatch.setattr(challenging, "register", registered)
    with recording.opened():
        yield small_project


def registered(params: Params) -> tuple[str, str]:
    """Register a version for each relevance model, without logging a model of 30 MB."""
    client, digest = mlflow.MlflowClient(), folder_digest(PROJECT.relevance_model)
    name = f"kadr-{params.train.experiment}"
    for known in client.search_model_versions(f"name = '{name}'"):
        if known.tags[MODEL_TAG] == digest:
            return name, str(known.version)
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name)
    return name, str(client.create_model_version(name, "file:nowhere", tags={MODEL_TAG: digest}).version)


@pytest.fixture
def run(home: Path) -> Run:
    """Write a challenger whose predictions are the relevance with so much noise, as `dvc repro` would; challenge."""

    def run(noise: float) -> dict[str, Any]:
        for part in publishing.PARTS[:-1]:
            part.mkdir(parents=True, exist_ok=True)
            (part / "file").write_text(f"{part.name} {noise}")
        relevance = read_table(PROJECT.relevance, RELEVANCE).to_pandas()
        score = relevance["relevance"] + noise * np.random.default_rng(0).normal(size=len(relevance))
        predicted = relevance.assign(score=score, fold=0)[PREDICTIONS.names]
        write_table(pa.Table.from_pandas(predicted), PROJECT.predictions / "model.parquet", PREDICTIONS)
        subprocess.run([sys.executable, "-m", "dvc", "commit", "-f", "-q"], check=True)
        return challenge(load_params())

    return run


def alias() -> str:
    return str(mlflow.MlflowClient().get_model_version_by_alias("kadr-sample", "champion").version)


def in_use() -> str:
    """The word in the files that a search would read; all are of one version."""
    found = PROJECT.champion_artifacts()
    assert found is not None
    words = {
        (part / "file").read_text().removeprefix(part.name)
        for part in (found.index, found.text_encoders, found.relevance, found.clip)
    }
    (word,) = words
    return word.strip()


@pytest.mark.slow
def test_promoted_unchanged_rejected_and_rolled_back(run: Run, home: Path) -> None:
    first = run(0.3)
    assert (first["verdict"], first["reason"], first["champion"]) == ("promoted", "there was no champion", "v000001")
    assert (in_use(), alias()) == ("0.3", "1")
    named = load_params(PROJECT.champion / "params.yaml")
    assert named.embed_images.encoders["clip"].model == "local-dir:models/.champion/v000001/clip"
    assert named.shared_encoders == ["clip"]
    again = run(0.3)
    assert (again["verdict"], again["reason"]) == ("unchanged", "v000001 is this model already")
    assert [version.name for version in Versions(PROJECT.champion).all()] == ["v000001"]

    worse = run(3)
    assert worse["verdict"] == "rejected"
    assert "champion v000001" in worse["reason"]
    assert "more than noise" in worse["reason"]
    assert (in_use(), alias(), champion().name) == ("0.3", "1", "v000001")
    again = run(3)
    assert (again["verdict"], again["reason"]) == ("unchanged", f"rejected before: {worse['reason']}")

    better = run(0.1)
    assert better["verdict"] == "promoted"
    assert {row["figure"]: row["difference"] > 0 for row in better["figures"]} == {"tau_c": True, "tau_b": True}
    assert better["pairs"]["judged"] == len(read_table(PROJECT.relevance, RELEVANCE))
    assert {row["variable"]: row["says"] for row in better["drift"]} == {
        "ratings, expert": "within noise",
        "ratings, crowd": "within noise",
        "relevance": "within noise",
        "words in a text": "within noise",
        "photos, clip": "within noise",
        "texts, clip": "within noise",
    }
    assert (in_use(), alias(), note_of(PROJECT.champion)["previous"]) == ("0.1", "2", "v000001")

    assert roll_back() == ("v000002", "v000001")
    assert (in_use(), alias()) == ("0.3", "1")
    withdrawn = run(0.1)
    assert withdrawn["verdict"] == "unchanged"
    assert "v000002 is this model, and was rolled back" in withdrawn["reason"]
    assert (in_use(), alias()) == ("0.3", "1")
    with pytest.raises(ModelError, match="a version before the first is not there; v000001 is in use, and there are"):
        roll_back()
    with pytest.raises(ModelError, match="v000009 is not there"):
        roll_back("v000009")
    roll_back("v000002")
    assert (in_use(), alias()) == ("0.1", "2")
    assert run(0.1)["reason"] == "v000002 is this model already"

    for noise in (0.09, 0.08, 0.07):
        run(noise)
    assert [version.name for version in Versions(PROJECT.champion).all()] == ["v000003", "v000004", "v000005"]
    assert in_use() == "0.07"


class Killed(BaseException):
    """What no handler of errors catches."""


@pytest.mark.slow
def test_a_kill_anywhere_leaves_the_champion_whole_and_the_next_run_promotes(
    run: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(0.3)
    points = [
        (challenging, "judged", 0),
        (challenging, "publish", 0),
        (publishing.shutil, "copytree", 2),
        (publishing, "write_json", 0),
        (publishing, "point_alias", 0),
        (Versions, "switch", 0),
        (challenging, "write_json", 0),
    ]
    for at, (where, what, n) in enumerate(points):
        with monkeypatch.context() as patch:
            calls, do = iter(range(n)), getattr(where, what)

            def killed(*arguments: Any, calls: Any = calls, do: Any = do, **named: Any) -> Any:
                if next(calls, None) is None:
                    raise Killed
                return do(*arguments, **named)

            patch.setattr(where, what, killed)
            with pytest.raises(Killed):
                run(0.1)
        wanted = "0.3" if at < len(points) - 1 else "0.1"
        assert in_use() == wanted, what
    assert run(0.1)["verdict"] == "unchanged"  # killed after the switch: it is promoted, and the report follows
    assert (in_use(), alias()) == ("0.1", "2")
    assert not list(Versions(PROJECT.champion).home.glob("*.partial"))
    assert note_of(PROJECT.champion)["previous"] == "v000001"


@pytest.mark.slow
def test_what_cannot_be_compared_is_not_promoted(run: Run, home: Path) -> None:
    run(0.3)
    images = read_table(PROJECT.images, IMAGES)
    others = pa.array([f"another {name}" for name in images["image_id"].to_pylist()])
    write_table(images.set_column(images.column_names.index("sha256"), "sha256", others), PROJECT.images, IMAGES)
    lock = yaml.safe_load((PROJECT.champion / "dvc.lock").read_text())
    for out in lock["stages"]["all"]["outs"]:
        out["md5"] = "0" * 32  # as after `dvc gc`
    (PROJECT.champion / "dvc.lock").write_text(yaml.safe_dump(lock))
    report = run(0.1)
    assert [row["says"] for row in report["drift"][-2:]] == ["DVC's cache has none of before"] * 2
    assert report["verdict"] == "rejected"
    assert report["reason"] == "champion v000001 foretold too few of these pairs to compare: 0"
    assert report["pairs"]["not_judged"] == len(read_table(PROJECT.relevance, RELEVANCE))
    shutil.rmtree(PROJECT.clip)
    with pytest.raises(ModelError, match=r"models/clip is not there, or not in dvc\.lock; run `dvc repro`"):
        challenge(load_params())


@pytest.mark.slow
def test_the_verdict_is_noted_at_the_run_with_the_prefect_run(
    run: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", "an-id")
    monkeypatch.setenv("KADR_FLOW_RUN_URL", "http://server/runs/an-id")
    PROJECT.relevance_model.mkdir(parents=True)
    (PROJECT.relevance_model / "file").write_text("relevance 0.3")
    mlflow.set_experiment("sample")
    tags = {MODEL_TAG: folder_digest(PROJECT.relevance_model), ROLE_TAG: recording.MODEL_ROLE}
    with mlflow.start_run(tags=tags) as started:
        pass
    report = run(0.3)
    assert report["mlflow_run"] == started.info.run_id
    noted = mlflow.get_run(started.info.run_id).data.tags
    assert {key: value for key, value in noted.items() if key.startswith("refresh.")} == {
        "refresh.verdict": "promoted",
        "refresh.reason": "there was no champion",
        "refresh.champion": "v000001",
        "refresh.flow_run_id": "an-id",
        "refresh.flow_run_url": "http://server/runs/an-id",
    }


@pytest.mark.slow
def test_a_store_that_fails_costs_the_record_and_not_the_promotion(
    run: Run, home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (home / "broken.db").write_text("no database")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{home}/broken.db")
    assert run(0.3)["verdict"] == "promoted"
    assert in_use() == "0.3"
    assert note_of(PROJECT.champion)["mlflow"] is None
    assert "MLflow did not record the registered model" in caplog.text
