"""Tests of the comparison of training runs."""

from pathlib import Path
from types import SimpleNamespace

import mlflow
import pytest
from rich.console import Console

from kadr.operations.tracking import recording
from kadr.operations.tracking.lineage import folder_digest
from kadr.operations.tracking.run_comparison import comparison_table, differing_params
from kadr.operations.tracking.runs import latest_runs, select_runs
from kadr.operations.tracking.tracking_store import TrackingError, open_store
from kadr.params import Params
from kadr.project import PROJECT


def make_run(
    run_id: str, params: dict[str, str], metrics: dict[str, float], digest: str = "", **tags: str
) -> SimpleNamespace:
    info = SimpleNamespace(run_id=run_id, start_time=0)
    data = SimpleNamespace(params=params, metrics=metrics, tags={"kadr.model_sha256": digest, **tags})
    return SimpleNamespace(info=info, data=data)


def table_cells(table: object) -> list[list[str]]:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(table)
    lines = [line for line in capture.get().splitlines() if line.startswith(("│", "┃"))]
    return [[cell.strip() for cell in line.replace("┃", "│").strip("│").split("│")] for line in lines]


@pytest.mark.parametrize(
    ("params", "keys"),
    [
        ([{"a": "1", "b": "2"}, {"a": "1", "b": "3"}], ["b"]),
        ([{"a": "1"}, {"a": "1", "b": "3"}], ["b"]),
        ([{"a": "1"}], []),
        ([], []),
    ],
)
def test_only_differing_params_are_compared(params: list[dict[str, str]], keys: list[str]) -> None:
    assert differing_params(params) == keys


def test_a_row_has_the_differing_params_and_the_metrics() -> None:
    runs = [
        make_run("aaaaaaaaaa", {"train.num_leaves": "7", "seed": "0"}, {"tau_c": 52.34, "rmse": 0.2}, "digest"),
        make_run("bbbbbbbbbb", {"train.num_leaves": "15", "seed": "0"}, {"tau_c": 51.0}),
    ]
    header, *rows = table_cells(comparison_table(runs, "digest"))
    assert header == ["run", "started", "num_leaves", "tau_c", "rmse"]
    assert [[row[0], *row[2:]] for row in rows] == [
        ["aaaaaaaa*", "7", "52.3", "0.200"],
        ["bbbbbbbb", "15", "51.0", ""],
    ]


def test_the_best_value_of_a_metric_is_bold() -> None:
    runs = [make_run("a", {}, {"tau_c": 52.0, "rmse": 0.3}), make_run("b", {}, {"tau_c": 51.0, "rmse": 0.2})]
    tau_c, rmse = (list(column.cells) for column in comparison_table(runs, None).columns[2:])
    assert tau_c == ["[bold]52.0[/bold]", "51.0"]
    assert rmse == ["0.300", "[bold]0.200[/bold]"]


def test_a_failed_gate_adds_a_column() -> None:
    runs = [make_run("a", {}, {}, **{"kadr.gates": "failed"}), make_run("b", {}, {})]
    header, *rows = table_cells(comparison_table(runs, None))
    assert header == ["run", "started", "gates"]
    assert [row[2] for row in rows] == ["failed", ""]


def test_runs_are_selected_by_id_prefix() -> None:
    runs = [make_run("aab", {}, {}), make_run("abb", {}, {})]
    assert [run.info.run_id for run in select_runs(runs, ["ab", "aa"])] == ["abb", "aab"]
    with pytest.raises(TrackingError, match="2 training runs have an ID that starts with 'a', expected 1"):
        select_runs(runs, ["a"])


@pytest.mark.slow
def test_the_newest_training_comes_first_and_trials_are_left_out(small_project: Path, small_params: Params) -> None:
    PROJECT.relevance_model.mkdir(parents=True)
    (PROJECT.relevance_model / "model.txt").write_text("trees")
    for leaves in (7, 15):
        trees = small_params.train.model_copy(update={"num_leaves": leaves})
        params = small_params.model_copy(update={"train": trees})
        with open_store():
            mlflow.set_experiment("sample")
            mlflow.start_run(tags={"kadr.role": "trial"})
            mlflow.end_run()
        with recording.training_run(params, {"relevance": PROJECT.relevance}) as run:
            run.record(PROJECT.relevance_model, {}, {})
    with open_store():
        runs = latest_runs("sample", 10)
        with pytest.raises(TrackingError, match="Experiment 'other' has no training run"):
            latest_runs("other", 10)
    assert [run.data.params["train.num_leaves"] for run in runs] == ["15", "7"]
    header, *rows = table_cells(comparison_table(runs, folder_digest(PROJECT.relevance_model)))
    assert header == ["run", "started", "num_leaves"]
    assert [row[2] for row in rows] == ["15", "7"]
    assert all(row[0].endswith("*") for row in rows)
