"""The search for settings: what it may see, how it resumes, what it prunes, what it leaves."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import pyarrow.parquet as pq
import pytest
from optuna.trial import TrialState

from kadr.errors import ModelError
from kadr.model.folds import Cell, assign_folds, cells
from kadr.operations.tuning import study as tune_study
from kadr.operations.tuning.nested_search import Problem, tune
from kadr.operations.tuning.search_runs import record_tuning
from kadr.operations.tuning.study import People, finished, inner_cells, open_study, search
from kadr.params import Params
from kadr.project import PROJECT

pytestmark = pytest.mark.slow

NOW = {
    "num_leaves": 15,
    "min_data_in_leaf": 20,
    "n_estimators": 100,
    "learning_rate": 0.08,
    "feature_fraction": 0.1,
    "bagging_fraction": 0.8,
    "lambda_l2": 10.0,
}


def ignore(_n: int) -> None:
    """Progress that nobody looks at."""


@pytest.fixture
def problem(small_project: Path, small_params: Params, monkeypatch: pytest.MonkeyPatch) -> Problem:
    few = {key: tune_study.SPACE[key] for key in ("num_leaves", "learning_rate")}
    monkeypatch.setattr(tune_study, "SPACE", few)
    return Problem.read(small_params)


def test_inner_cells_hold_no_photo_and_no_text_of_the_outer_test_part() -> None:
    image_ids = [f"{i}.jpg" for i in range(12) for _ in range(12)]
    groups = [f"text {i}" for _ in range(12) for i in range(12)]
    for outer in cells(assign_folds(image_ids, 4, 0), assign_folds(groups, 4, 1)):
        held_out = np.flatnonzero(outer.test)
        photos, texts = {image_ids[row] for row in held_out}, {groups[row] for row in held_out}
        inner = inner_cells(outer, image_ids, groups, 2)
        assert len(inner) == 9
        tested = np.sum([cell.test for cell in inner], axis=0)
        assert (tested == outer.train).all()
        for cell in inner:
            used = np.flatnonzero(cell.train | cell.test)
            assert not photos & {image_ids[row] for row in used}
            assert not texts & {groups[row] for row in used}


def test_what_people_said_outside_the_training_part_changes_no_trial(problem: Problem) -> None:
    outer = problem.outer[0]
    steps = list(problem.steps(problem.inner(outer), {"num_leaves": 7, "learning_rate": 0.1}))
    table = problem.pairs.table.copy()
    table.loc[~outer.train, "relevance"] = np.random.default_rng(0).random(int((~outer.train).sum()))
    rating = problem.people.rating.copy()
    rating[~outer.train[problem.people.rows]] = 1.0
    people = replace(problem.people, rating=rating)
    poisoned = replace(problem, pairs=replace(problem.pairs, table=table), people=people)
    assert list(poisoned.steps(problem.inner(outer), {"num_leaves": 7, "learning_rate": 0.1})) == steps
    assert steps[-1] > 50


def test_a_killed_search_goes_on_where_it_was(tmp_path: Path) -> None:
    calls = 0

    def dies(_settings: object) -> Iterator[float]:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        yield float(calls)

    killed = open_study(tmp_path / "s.db", "a", 0)
    killed.enqueue_trial(NOW)
    killed.ask()  # what kill -9 leaves: a trial that runs for ever
    with pytest.raises(KeyboardInterrupt):
        search(open_study(tmp_path / "s.db", "a", 0), 5, dict(NOW), dies, ignore)
    study = open_study(tmp_path / "s.db", "a", 0)
    assert len(finished(study)) == 2
    assert finished(study)[0].params == NOW
    search(study, 5, dict(NOW), lambda _settings: iter([1.0]), ignore)
    search(open_study(tmp_path / "s.db", "a", 0), 5, dict(NOW), dies, ignore)
    assert len(finished(open_study(tmp_path / "s.db", "a", 0))) == 5
    assert calls == 3


def test_a_trial_below_the_median_after_two_cells_is_pruned(tmp_path: Path) -> None:
    study, n, steps_run = open_study(tmp_path / "s.db", "a", 0), 0, []

    def steps(_settings: object) -> Iterator[float]:
        nonlocal n
        n += 1
        bad = n == 7
        for step in range(9):
            steps_run.append((n, step))
            yield -1.0 if bad else float(n)

    search(study, 7, dict(NOW), steps, ignore)
    states = [trial.state for trial in finished(study)]
    assert states == [TrialState.COMPLETE] * 6 + [TrialState.PRUNED]
    assert steps_run[-1] == (7, 1)


def test_ratings_without_a_score_do_not_count() -> None:
    people = People("tau_b", np.array([0, 1, 2, 3]), np.array([0.0, 0.5, 1.0, 0.0]))
    assert people.judge(np.array([0.1, 0.2, 0.3, np.nan])) == pytest.approx(100.0)
    assert people.judge(np.full(4, np.nan)) == 0.0


def test_a_search_finds_judges_and_is_recorded_once(problem: Problem, small_params: Params) -> None:
    for n_trials in (2, 3):
        tuned, studies = tune(problem, n_trials)
        assert [len(finished(study)) for study in studies] == [n_trials] * 3
        record_tuning(small_params, problem.key, problem.people.figure, tuned, studies)
    assert tuned.gain is not None
    assert tuned.gain.low <= tuned.tuned - tuned.now <= tuned.gain.high
    assert any(tuned.best == study.best_trial.params for study in studies)
    client = mlflow.MlflowClient(os.environ["MLFLOW_TRACKING_URI"])
    experiment = client.get_experiment_by_name(small_params.train.experiment)
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    (parent,) = [run for run in runs if run.data.tags["kadr.role"] == "tune"]
    trials = [run for run in runs if run.data.tags["kadr.role"] == "trial"]
    assert parent.data.metrics["tau_c"] == pytest.approx(tuned.tuned)
    assert len(trials) == 9
    assert {run.data.tags["mlflow.parentRunId"] for run in trials} == {parent.info.run_id}
    assert "train.num_leaves" in trials[0].data.params


def test_other_data_is_another_study(problem: Problem) -> None:
    other = replace(problem, params=problem.params.model_copy(update={"seed": 1}))
    assert other.key != problem.key
    trees = problem.params.train.model_copy(update={"num_leaves": 4})
    assert replace(problem, params=problem.params.model_copy(update={"train": trees})).key == problem.key


@pytest.mark.parametrize("changed", ["RATINGS", "QUERIES", "IMAGE_EMBEDDINGS", "TEXT_EMBEDDINGS"])
def test_other_values_of_any_table_are_another_study(problem: Problem, changed: str) -> None:
    before = problem.key
    path = getattr(PROJECT, changed.lower())
    path = path / "clip.parquet" if path.is_dir() else path
    pq.write_table(pq.read_table(path).slice(1), path)
    assert replace(problem).key != before


def test_the_outer_cells_hold_out_each_photo_and_each_text_once(problem: Problem) -> None:
    outer: list[Cell] = problem.outer
    table = problem.pairs.table
    photos = [set(table["image_id"][cell.test]) for cell in outer]
    assert sum(map(len, photos)) == len(set().union(*photos)) == 24


def test_more_folds_than_texts_leave_the_diagonal_where_it_is(problem: Problem) -> None:
    folds = problem.params.train.model_copy(update={"query_folds": 30})
    outer = replace(problem, params=problem.params.model_copy(update={"train": folds})).outer
    assert [cell.fold for cell in outer] == [0, 24 + 1, 2 * 24 + 2]


def test_a_training_part_of_one_text_is_said_before_any_trial(problem: Problem, tmp_path: Path) -> None:
    few = problem.pairs.table["query_id"].isin(["00.jpg#0", "01.jpg#0"]).to_numpy()
    pairs = replace(problem.pairs, table=problem.pairs.table[few].reset_index(drop=True))
    with pytest.raises(ModelError, match=r"too few photos or texts to search by inner folds; lower train.image_folds"):
        tune(replace(problem, pairs=pairs), 2, tmp_path / "studies.db")
    assert not (tmp_path / "studies.db").exists()
