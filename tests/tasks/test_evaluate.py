"""Stage evaluate on a small project: the names that others read, and figures that make sense."""

import json
import os
import shutil
from pathlib import Path

import mlflow
import pyarrow as pa
import pytest

from kadr.errors import GateError, ParamsError
from kadr.io.schemas import PREDICTIONS, read_table, write_table
from kadr.params import Params
from kadr.project import PROJECT
from tasks.evaluate import evaluate, retrieve
from tasks.train import train

pytestmark = pytest.mark.slow

AGREEMENT = {"tau_c", "tau_b", "spearman", "auc", "average_precision", "ndcg_at_10", "rmse", "r2", "ece"}
NAMES = AGREEMENT | {"recall_at_1", "recall_at_5", "recall_at_10", "mrr"}


def test_figures(small_project: Path, small_params: Params) -> None:
    train(small_params)
    metrics = evaluate(small_params)
    assert set(metrics) == NAMES | {"baselines", "differences", "reordering", "ceiling", "human", "seen_text"}
    assert set(metrics["seen_text"]) == AGREEMENT
    gap = metrics["differences"]["concat"]["tau_c"]
    assert gap["value"] == pytest.approx(metrics["tau_c"]["value"] - metrics["baselines"]["concat"]["tau_c"]["value"])
    assert gap["low"] <= gap["value"] <= gap["high"]
    both = metrics["reordering"]
    assert set(both) == {"ndcg_at_10", "recall_at_1", "recall_at_5", "recall_at_10", "mrr"}
    assert both["ndcg_at_10"] == metrics["differences"]["cosine"]["ndcg_at_10"]
    human = metrics["human"]
    assert human["share"]["value"] == pytest.approx(100 * human["model"]["value"] / human["tau_c"]["value"], rel=1e-5)
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


def test_only_the_first_candidates_are_reordered(small_project: Path, small_params: Params) -> None:
    train(small_params)
    first, all_ = (
        retrieve(small_params.model_copy(update={"index": small_params.index.model_copy(update={"rerank": rerank})}))
        for rerank in (1, 1000)
    )
    assert first["reordered"] == first["cosine"]
    assert all_["reordered"] == all_["model"]


# Gates. In the small project the ratings are the cosine, so that no model is above it.


def with_gates(params: Params, **changed: object) -> Params:
    gates = params.evaluate.gates.model_copy(update=changed)
    return params.model_copy(update={"evaluate": params.evaluate.model_copy(update={"gates": gates})})


def test_a_model_below_the_cosine_fails_after_its_figures_are_written(
    small_project: Path, small_params: Params
) -> None:
    train(small_params)
    with pytest.raises(GateError, match=r"tau_c: \d.*, baseline cosine \d.*; the difference of -.* more than noise"):
        evaluate(with_gates(small_params, above="cosine"))
    assert json.loads((PROJECT.metrics / "evaluate.json").read_text())["tau_c"]["value"] > 50
    evaluate(with_gates(small_params, above="concat"))


def test_a_model_below_the_champion_fails(
    small_project: Path, small_params: Params, caplog: pytest.LogCaptureFixture
) -> None:
    train(small_params)
    champion = shutil.copytree(PROJECT.predictions, small_project / "champion")
    evaluate(with_gates(small_params, champion=str(champion), figures=("tau_c", "mrr")))
    assert f"evaluate.gates: mrr is not compared with champion {champion}" in caplog.text
    assert "tau_c is not" not in caplog.text
    better = read_table(PROJECT.predictions / "model.parquet", PREDICTIONS).to_pandas()
    better["score"] = better["relevance"]
    write_table(pa.Table.from_pandas(better), champion / "model.parquet", PREDICTIONS)
    with pytest.raises(GateError, match=r"tau_c: .*, champion .*champion .*more than noise"):
        evaluate(with_gates(small_params, champion=str(champion)))


@pytest.mark.parametrize(
    ("changed", "said"),
    [({"champion": "nowhere"}, "nowhere, which has no model.parquet"), ({"figures": ("tau",)}, "unknown figure 'tau'")],
)
def test_a_gate_that_cannot_be_held_is_named_before_anything_is_read(
    changed: dict[str, object], said: str, tmp_path: Path, small_params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ParamsError, match=said):
        evaluate(with_gates(small_params, **changed))


def test_figures_reach_the_run_of_the_model(small_project: Path, small_params: Params) -> None:
    train(small_params)
    metrics = evaluate(small_params)
    client = mlflow.MlflowClient(os.environ["MLFLOW_TRACKING_URI"])
    experiment = client.get_experiment_by_name(small_params.train.experiment)
    assert experiment is not None
    runs = {run.data.tags["kadr.role"]: run for run in client.search_runs([experiment.experiment_id])}
    assert runs["model"].data.metrics["tau_c"] == pytest.approx(metrics["tau_c"]["value"], abs=1e-5)
    assert runs["model"].data.metrics["human.share"] == pytest.approx(metrics["human"]["share"]["value"], abs=1e-5)
    assert runs["baseline cosine"].data.metrics["tau_c"] > 50
