"""Stage evaluate on a small project: the names that others read, and figures that make sense."""

import os
from pathlib import Path

import mlflow
import pytest

from kadr.params import Params
from tasks.evaluate import evaluate
from tasks.train import train

pytestmark = pytest.mark.slow

NAMES = {"tau_c", "tau_b", "spearman", "rmse", "r2", "auc", "recall_at_1", "recall_at_5", "recall_at_10", "mrr"}


def test_figures(small_project: Path, small_params: Params) -> None:
    train(small_params)
    metrics = evaluate(small_params)
    assert set(metrics) == NAMES | {"baselines", "ceiling"}
    assert set(metrics["baselines"]) == {"mean", "cosine", "concat"}
    assert all(set(own) == NAMES for own in metrics["baselines"].values())
    for figure in (metrics["tau_c"], metrics["tau_b"], metrics["recall_at_1"], metrics["ceiling"]["tau_c"]):
        assert set(figure) == {"value", "low", "high"}
        assert figure["low"] <= figure["value"] <= figure["high"]
    cosine = metrics["baselines"]["cosine"]
    assert cosine["rmse"] is None
    assert cosine["recall_at_1"]["value"] == 1.0
    assert metrics["baselines"]["mean"]["tau_c"] is None
    assert metrics["tau_c"]["value"] > 50
    assert metrics["rmse"]["value"] < metrics["baselines"]["mean"]["rmse"]["value"]


def test_figures_reach_the_run_of_the_model(small_project: Path, small_params: Params) -> None:
    train(small_params)
    metrics = evaluate(small_params)
    client = mlflow.MlflowClient(os.environ["MLFLOW_TRACKING_URI"])
    experiment = client.get_experiment_by_name(small_params.train.experiment)
    assert experiment is not None
    runs = {run.data.tags["kadr.role"]: run for run in client.search_runs([experiment.experiment_id])}
    assert runs["model"].data.metrics["tau_c"] == pytest.approx(metrics["tau_c"]["value"], abs=1e-5)
    assert runs["baseline cosine"].data.metrics["tau_c"] > 50
