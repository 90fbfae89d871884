"""Test stage evaluate on a small project: metrics, quality gates, and MLflow runs.

The ratings of the small project are computed from the cosine, so no model can be better than the cosine baseline.
"""

import json
import os
import shutil
from pathlib import Path

import mlflow
import pandas as pd
import pyarrow as pa
import pytest

from kadr.errors import GateError, ParamsError
from kadr.io.schemas import PREDICTIONS, read_table, write_table
from kadr.params import Params
from kadr.project import PROJECT
from tasks.evaluate import HEADLINE_METRICS, evaluate, evaluate_retrieval
from tasks.train import train

AGREEMENT = {"tau_c", "tau_b", "spearman", "auc", "average_precision", "ndcg_at_10", "rmse", "r2", "ece"}
RETRIEVAL = {"recall_at_1", "recall_at_5", "recall_at_10", "mrr"}


@pytest.mark.slow
def test_metrics_of_model_baselines_and_raters(small_project: Path, small_params: Params) -> None:
    train(small_params)
    metrics = evaluate(small_params)
    further = {"baselines", "differences", "reordering", "ceiling", "human", "seen_text"}
    assert set(metrics) == AGREEMENT | RETRIEVAL | further
    assert set(metrics["seen_text"]) == AGREEMENT
    for interval in (metrics["tau_c"], metrics["tau_b"], metrics["recall_at_1"], metrics["ceiling"]["tau_c"]):
        assert interval["low"] <= interval["value"] <= interval["high"]
    assert metrics["tau_c"]["value"] > 50
    headline = json.loads((PROJECT.metrics / "headline.json").read_text())
    assert set(headline) == {*HEADLINE_METRICS, "tau_c.low", "tau_c.high"}
    assert headline["tau_c"] == pytest.approx(metrics["tau_c"]["value"], abs=1e-4)
    human = metrics["human"]
    assert human["share"]["value"] == pytest.approx(100 * human["model"]["value"] / human["tau_c"]["value"], rel=1e-5)
    baselines = metrics["baselines"]
    assert set(baselines) == {"mean", "cosine", "concat"}
    assert all(set(baseline) == AGREEMENT | RETRIEVAL for baseline in baselines.values())
    assert baselines["cosine"]["rmse"] is None
    assert baselines["cosine"]["recall_at_1"]["value"] == 1.0
    assert baselines["mean"]["tau_c"] is None
    assert metrics["rmse"]["value"] < baselines["mean"]["rmse"]["value"]
    difference = metrics["differences"]["concat"]["tau_c"]
    assert difference["value"] == pytest.approx(metrics["tau_c"]["value"] - baselines["concat"]["tau_c"]["value"])
    assert difference["low"] <= difference["value"] <= difference["high"]
    assert set(metrics["reordering"]) == {"ndcg_at_10"} | RETRIEVAL
    assert metrics["reordering"]["ndcg_at_10"] == metrics["differences"]["cosine"]["ndcg_at_10"]


@pytest.mark.slow
def test_baselines_that_were_not_trained_are_omitted(small_project: Path, small_params: Params) -> None:
    params = small_params.model_copy(update={"train": small_params.train.model_copy(update={"baselines": []})})
    train(params)
    metrics = evaluate(params)
    assert (metrics["baselines"], metrics["differences"], metrics["reordering"]) == ({}, {}, {})


@pytest.mark.slow
def test_only_the_first_images_are_reordered(small_project: Path, small_params: Params) -> None:
    train(small_params)
    one, all_ = (
        evaluate_retrieval(
            small_params.model_copy(update={"index": small_params.index.model_copy(update={"rerank": n_reranked})})
        )
        for n_reranked in (1, 1000)
    )
    assert one["reordered"] == one["cosine"]
    assert all_["reordered"] == all_["model"]


def with_gates(params: Params, **gates: object) -> Params:
    section = params.evaluate.gates.model_copy(update=gates)
    return params.model_copy(update={"evaluate": params.evaluate.model_copy(update={"gates": section})})


@pytest.mark.slow
def test_model_below_the_cosine_is_rejected_after_metrics_are_written(
    small_project: Path, small_params: Params
) -> None:
    train(small_params)
    with pytest.raises(GateError, match=r"tau_c is \d.* for the model and \d.* for baseline cosine: difference -"):
        evaluate(with_gates(small_params, above="cosine"))
    assert json.loads((PROJECT.metrics / "evaluate.json").read_text())["tau_c"]["value"] > 50
    evaluate(with_gates(small_params, above="concat"))


@pytest.mark.slow
def test_model_below_the_champion_is_rejected(
    small_project: Path, small_params: Params, caplog: pytest.LogCaptureFixture
) -> None:
    train(small_params)
    champion = shutil.copytree(PROJECT.predictions, small_project / "champion")
    evaluate(with_gates(small_params, champion=str(champion), figures=("tau_c", "mrr")))
    assert f"evaluate.gates: metric mrr is not compared with champion {champion}" in caplog.text
    assert "tau_c is not" not in caplog.text
    better = read_table(PROJECT.predictions / "model.parquet", PREDICTIONS).to_pandas()
    better["score"] = better["relevance"]
    write_table(pa.Table.from_pandas(better), champion / "model.parquet", PREDICTIONS)
    with pytest.raises(GateError, match=r"tau_c is .* for the model and .* for champion .*champion: difference -"):
        evaluate(with_gates(small_params, champion=str(champion)))


@pytest.mark.parametrize(
    ("gates", "message"),
    [
        ({"champion": "nowhere"}, "folder nowhere contains no model.parquet"),
        ({"figures": ("tau",)}, "'tau' is not a metric"),
    ],
)
def test_invalid_gate_is_an_error_before_tables_are_read(
    gates: dict[str, object], message: str, tmp_path: Path, small_params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ParamsError, match=message):
        evaluate(with_gates(small_params, **gates))


@pytest.mark.slow
def test_metrics_are_logged_to_the_run_of_the_training(small_project: Path, small_params: Params) -> None:
    train(small_params)
    client = mlflow.MlflowClient(os.environ["MLFLOW_TRACKING_URI"])
    experiment = client.get_experiment_by_name(small_params.train.experiment)
    assert experiment is not None
    (trained,) = client.search_runs([experiment.experiment_id])
    metrics = evaluate(small_params)
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    assert run.info.end_time == trained.info.end_time
    assert run.data.tags["kadr.gates"] == "passed"
    assert [run.data.metrics[name] for name in ("tau_c", "tau_c.low", "tau_c.high")] == list(metrics["tau_c"].values())
    assert run.data.metrics["human/share"] == metrics["human"]["share"]["value"]
    assert run.data.metrics["baselines/cosine/tau_c"] > 50
    table = pd.read_csv(client.download_artifacts(run.info.run_id, "tables/evaluation.csv")).set_index(
        ["group", "metric"]
    )
    assert table.loc[("differences/cosine", "tau_c")].to_dict() == metrics["differences"]["cosine"]["tau_c"]
