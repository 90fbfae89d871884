"""Tests of stage train on a small project."""

import os
import time
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

from kadr.errors import ParamsError
from kadr.io.schemas import CAPTIONS, PAIR, PREDICTIONS, RELEVANCE, WITHHELD, read_table, write_table
from kadr.operations.tracking.lineage import folder_digest
from kadr.params import Params
from kadr.project import PROJECT, SEEN_TEXT
from tasks.train import train

pytestmark = pytest.mark.slow

N_PAIRS = 24 * 24


def test_the_model_and_its_baselines_score_every_pair(small_project: Path, small_params: Params) -> None:
    metrics = train(small_params)
    assert metrics["n_pairs"] == N_PAIRS
    assert sum(metrics["importance"].values()) == pytest.approx(1.0)
    assert sum(metrics["shap"].values()) == pytest.approx(1.0)
    for name in ("model", "mean", "cosine", "concat"):
        predictions = read_table(PROJECT.predictions / f"{name}.parquet", PREDICTIONS).to_pandas()
        assert len(predictions) == N_PAIRS
        assert predictions["score"].notna().all()
        assert set(predictions["fold"]) == set(range(9))
        if name != "cosine":
            assert predictions["score"].between(0, 1).all()
    model = read_table(PROJECT.predictions / "model.parquet", PREDICTIONS).to_pandas()
    assert np.corrcoef(model["relevance"], model["score"])[0, 1] > 0.8


def test_only_the_baselines_in_the_settings_are_trained(small_project: Path, small_params: Params) -> None:
    train(small_params.model_copy(update={"train": small_params.train.model_copy(update={"baselines": ["cosine"]})}))
    assert {path.stem for path in PROJECT.predictions.iterdir()} == {"model", "cosine", SEEN_TEXT}


def test_withheld_pairs_are_neither_trained_on_nor_scored(small_project: Path, small_params: Params) -> None:
    pairs = read_table(PROJECT.relevance, RELEVANCE).select(PAIR)
    write_table(pairs.slice(0, 100), PROJECT.withheld, WITHHELD)
    assert train(small_params)["n_pairs"] == len(pairs) - 100
    for name in ("model", "mean", "cosine", "concat", SEEN_TEXT):
        predictions = read_table(PROJECT.predictions / f"{name}.parquet", PREDICTIONS)
        assert predictions.select(PAIR).equals(pairs.slice(100))


def test_training_twice_gives_identical_files(small_project: Path, small_params: Params) -> None:
    digests = []
    for _ in range(2):
        train(small_params)
        digests.append((folder_digest(PROJECT.relevance_model), folder_digest(PROJECT.predictions)))
    assert digests[0] == digests[1]


def test_mlflow_has_one_run_that_lasts_as_long_as_the_training(small_project: Path, small_params: Params) -> None:
    started = time.time() * 1000
    train(small_params)
    client = mlflow.MlflowClient(os.environ["MLFLOW_TRACKING_URI"])
    experiment = client.get_experiment_by_name(small_params.train.experiment)
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    model = (PROJECT.relevance_model / "model.txt").stat().st_mtime * 1000
    assert started - 1 <= run.info.start_time < model - 1 < run.info.end_time
    assert run.data.params["train.num_leaves"] == str(small_params.train.num_leaves)
    assert run.data.tags["kadr.model_sha256"] == folder_digest(PROJECT.relevance_model)
    folds = pd.read_csv(client.download_artifacts(run.info.run_id, "tables/folds.csv"))
    assert folds["fold"].tolist() == list(range(9))
    assert folds["n_pairs"].sum() == N_PAIRS
    assert (folds["rmse"] > 0).all()


def test_a_broken_mlflow_store_does_not_stop_the_training(
    small_project: Path, small_params: Params, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    Path("broken.db").write_text("no database", encoding="utf-8")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///broken.db")
    train(small_params)
    assert (PROJECT.relevance_model / "model.txt").is_file()
    assert "MLflow did not record the training run" in caplog.text


@pytest.mark.parametrize(
    ("block", "message"),
    [("captioned", "now called 'caption_neighbours'"), ("cosin", "unknown block 'cosin'")],
)
def test_invalid_blocks_raise_an_error_before_any_file_is_read(
    tmp_path: Path, small_params: Params, monkeypatch: pytest.MonkeyPatch, block: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    section = small_params.train.model_copy(update={"features": ["cosine", block]})
    with pytest.raises(ParamsError, match=message):
        train(small_params.model_copy(update={"train": section}))


def test_caption_neighbours_without_captions_raise_an_error(small_project: Path, small_params: Params) -> None:
    write_table(CAPTIONS.empty_table(), PROJECT.captions, CAPTIONS)
    section = small_params.train.model_copy(update={"features": ["caption_neighbours"]})
    with pytest.raises(ParamsError, match=r"needs captioned images, but .*captions.parquet is empty"):
        train(small_params.model_copy(update={"train": section}))
