"""Stage train on a small project: what it writes, twice the same, and what MLflow keeps."""

import os
from pathlib import Path

import mlflow
import numpy as np
import pytest

from kadr.io.schemas import PAIR, PREDICTIONS, RELEVANCE, WITHHELD, read_table, write_table
from kadr.operations.tracking.recording import folder_digest
from kadr.params import Params
from kadr.project import PROJECT, SEEN_TEXT
from tasks.train import train

pytestmark = pytest.mark.slow


def test_predictions_of_the_model_and_its_baselines(small_project: Path, small_params: Params) -> None:
    metrics = train(small_params)
    assert metrics["n_pairs"] == 24 * 24
    assert sum(metrics["importance"].values()) == pytest.approx(1.0)
    for name in ("model", "mean", "cosine", "concat"):
        predictions = read_table(PROJECT.predictions / f"{name}.parquet", PREDICTIONS).to_pandas()
        assert len(predictions) == 24 * 24
        assert predictions["score"].notna().all()
        assert set(predictions["fold"]) == set(range(9))
        if name != "cosine":
            assert predictions["score"].between(0, 1).all()
    learned = read_table(PROJECT.predictions / "model.parquet", PREDICTIONS).to_pandas()
    assert np.corrcoef(learned["relevance"], learned["score"])[0, 1] > 0.8


def test_withheld_pairs_are_neither_learned_nor_judged(small_project: Path, small_params: Params) -> None:
    pairs = read_table(PROJECT.relevance, RELEVANCE).select(PAIR)
    write_table(pairs.slice(0, 100), PROJECT.withheld, WITHHELD)
    assert train(small_params)["n_pairs"] == len(pairs) - 100
    for name in ("model", "mean", "cosine", "concat", SEEN_TEXT):
        predictions = read_table(PROJECT.predictions / f"{name}.parquet", PREDICTIONS)
        assert predictions.select(PAIR).equals(pairs.slice(100))


def test_training_twice_gives_the_same_bytes(small_project: Path, small_params: Params) -> None:
    digests = []
    for _ in range(2):
        train(small_params)
        digests.append((folder_digest(PROJECT.relevance_model), folder_digest(PROJECT.predictions)))
    assert digests[0] == digests[1]


def test_mlflow_has_a_parent_with_folds_and_baselines(small_project: Path, small_params: Params) -> None:
    train(small_params)
    client = mlflow.MlflowClient(os.environ["MLFLOW_TRACKING_URI"])
    experiment = client.get_experiment_by_name(small_params.train.experiment)
    assert experiment is not None
    runs = {run.data.tags["kadr.role"]: run for run in client.search_runs([experiment.experiment_id])}
    assert set(runs) == {
        "model",
        "baseline mean",
        "baseline cosine",
        "baseline concat",
        *(f"fold {i}" for i in range(9)),
    }
    parent = runs["model"]
    assert parent.data.params["train.num_leaves"] == str(small_params.train.num_leaves)
    assert parent.data.tags["kadr.model_sha256"] == folder_digest(PROJECT.relevance_model)
    assert {run.data.tags.get("mlflow.parentRunId") for role, run in runs.items() if role != "model"} == {
        parent.info.run_id
    }
    assert runs["fold 3"].data.metrics["rmse"] > 0


def test_a_store_that_cannot_be_written_does_not_lose_the_training(
    small_project: Path, small_params: Params, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    Path("broken.db").write_text("no database", encoding="utf-8")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///broken.db")
    train(small_params)
    assert (PROJECT.relevance_model / "model.txt").is_file()
    assert "MLflow did not record the training" in caplog.text
