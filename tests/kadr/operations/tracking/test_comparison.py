"""The comparison of trainings: what differs, what stays out, which run is the model's."""

from pathlib import Path
from types import SimpleNamespace

import mlflow
import pytest
from rich.console import Console

from kadr.operations.tracking import recording
from kadr.operations.tracking.comparison import chosen, comparison, differing, last_runs
from kadr.operations.tracking.lineage import folder_digest
from kadr.operations.tracking.recording import TrackingError
from kadr.params import Params
from kadr.project import PROJECT


def run(run_id: str, params: dict[str, str], metrics: dict[str, float], digest: str = "") -> SimpleNamespace:
    info = SimpleNamespace(run_id=run_id, start_time=0)
    return SimpleNamespace(
        info=info, data=SimpleNamespace(params=params, metrics=metrics, tags={"kadr.model_sha256": digest})
    )


def printed(table: object) -> list[list[str]]:
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
def test_only_what_differs(params: list[dict[str, str]], keys: list[str]) -> None:
    assert differing(params) == keys


def test_a_row_has_what_differs_and_the_figures() -> None:
    runs = [
        run("aaaaaaaaaa", {"train.num_leaves": "7", "seed": "0"}, {"tau_c": 52.34, "rmse": 0.2}, "digest"),
        run("bbbbbbbbbb", {"train.num_leaves": "15", "seed": "0"}, {"tau_c": 51.0}),
    ]
    head, *rows = printed(comparison(runs, "digest"))
    assert head == ["run", "started", "num_leaves", "tau_c", "rmse"]
    assert [[row[0], *row[2:]] for row in rows] == [
        ["aaaaaaaa*", "7", "52.3", "0.200"],
        ["bbbbbbbb", "15", "51.0", ""],
    ]


def test_a_run_is_named_by_how_its_id_begins() -> None:
    runs = [run("aab", {}, {}), run("abb", {}, {})]
    assert [one.info.run_id for one in chosen(runs, ["ab", "aa"])] == ["abb", "aab"]
    with pytest.raises(TrackingError, match="2 trainings have an id that begins with 'a'"):
        chosen(runs, ["a"])


@pytest.mark.slow
def test_trainings_newest_first_without_their_children(small_project: Path, small_params: Params) -> None:
    PROJECT.relevance_model.mkdir(parents=True)
    (PROJECT.relevance_model / "model.txt").write_text("trees")
    for leaves in (7, 15):
        trees = small_params.train.model_copy(update={"num_leaves": leaves})
        params = small_params.model_copy(update={"train": trees})
        with recording.opened():
            mlflow.set_experiment("sample")
            recording.record_training(
                params, PROJECT.relevance_model, {"relevance": PROJECT.relevance}, {"fold 0": {}}, {}
            )
    with recording.opened():
        found = last_runs("sample", 10)
        with pytest.raises(TrackingError, match="experiment 'other' has no training yet"):
            last_runs("other", 10)
    assert [one.info.run_name for one in found] == [
        "clip / graded_response / 15 leaves",
        "clip / graded_response / 7 leaves",
    ]
    head, *rows = printed(comparison(found, folder_digest(PROJECT.relevance_model)))
    assert head == ["run", "started", "num_leaves"]
    assert [row[2] for row in rows] == ["15", "7"]
    assert all(row[0].endswith("*") for row in rows)
