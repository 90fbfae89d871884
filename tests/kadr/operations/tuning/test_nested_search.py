"""Tests of the nested hyperparameter search: inner cells, resuming, pruning, evaluation and recording."""

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
from kadr.model.folds import assign_folds, grid_cells
from kadr.model.training_settings import TrainingSettings
from kadr.operations.tuning import study as tuning_study
from kadr.operations.tuning.nested_search import tune
from kadr.operations.tuning.search_runs import record_tuning
from kadr.operations.tuning.search_summary import cell_table, describe_result
from kadr.operations.tuning.study import (
    ReferenceRatings,
    finished_trials,
    make_inner_cells,
    open_study,
    run_trials,
)
from kadr.operations.tuning.tuning_problem import TuningProblem
from kadr.params import Params
from kadr.project import PROJECT

pytestmark = pytest.mark.slow

CURRENT = {
    "num_leaves": 15,
    "min_data_in_leaf": 20,
    "n_estimators": 100,
    "learning_rate": 0.08,
    "feature_fraction": 0.1,
    "bagging_fraction": 0.8,
    "lambda_l2": 10.0,
}
SETTINGS = {"num_leaves": 7, "learning_rate": 0.1}


def ignore_progress(_n: int) -> None:
    pass


@pytest.fixture
def problem(small_project: Path, small_params: Params, monkeypatch: pytest.MonkeyPatch) -> TuningProblem:
    space = {key: tuning_study.SEARCH_SPACE[key] for key in SETTINGS}
    monkeypatch.setattr(tuning_study, "SEARCH_SPACE", space)
    monkeypatch.setattr("kadr.operations.tuning.search_summary.SEARCH_SPACE", space)
    settings = TrainingSettings.from_params(small_params)
    return TuningProblem.read(settings, small_params.evaluate, small_params.seed)


def with_train(problem: TuningProblem, **values: object) -> TuningProblem:
    return replace(problem, settings=problem.settings.with_train(**values))


def test_inner_cells_contain_no_image_and_no_query_of_the_outer_test_pairs() -> None:
    image_ids = [f"{i}.jpg" for i in range(12) for _ in range(12)]
    groups = [f"text {i}" for _ in range(12) for i in range(12)]
    for outer in grid_cells(assign_folds(image_ids, 4, 0), assign_folds(groups, 4, 1)):
        test_rows = np.flatnonzero(outer.test)
        test_images, test_groups = {image_ids[row] for row in test_rows}, {groups[row] for row in test_rows}
        inner = make_inner_cells(outer, image_ids, groups, 2)
        assert len(inner) == 9
        assert (np.sum([cell.test for cell in inner], axis=0) == outer.train).all()
        for cell in inner:
            used = np.flatnonzero(cell.train | cell.test)
            assert not test_images & {image_ids[row] for row in used}
            assert not test_groups & {groups[row] for row in used}


def test_ratings_outside_the_train_pairs_change_no_trial(problem: TuningProblem) -> None:
    outer = problem.outer_cells[0]
    expected = list(problem.cumulative_agreement(problem.inner_cells(outer), SETTINGS))
    table = problem.pairs.table.copy()
    table.loc[~outer.train, "relevance"] = np.random.default_rng(0).random(int((~outer.train).sum()))
    ratings = problem.reference.ratings.copy()
    ratings[~outer.train[problem.reference.rows]] = 1.0
    changed = replace(
        problem,
        pairs=replace(problem.pairs, table=table),
        reference=replace(problem.reference, ratings=ratings),
    )
    assert list(changed.cumulative_agreement(changed.inner_cells(outer), SETTINGS)) == expected
    assert expected[-1] > 50


def test_a_killed_search_resumes(tmp_path: Path) -> None:
    n_calls = 0

    def fail_on_third_call(_settings: object) -> Iterator[float]:
        nonlocal n_calls
        n_calls += 1
        if n_calls == 3:
            raise KeyboardInterrupt
        yield float(n_calls)

    def continue_search(evaluate: object) -> list[object]:
        study = open_study(tmp_path / "s.db", "a", 0)
        run_trials(study, 5, dict(CURRENT), evaluate, ignore_progress)
        return finished_trials(study)

    killed = open_study(tmp_path / "s.db", "a", 0)
    killed.enqueue_trial(CURRENT)
    killed.ask()  # leaves an unfinished trial in the study, as `kill -9` does
    with pytest.raises(KeyboardInterrupt):
        continue_search(fail_on_third_call)
    finished = finished_trials(open_study(tmp_path / "s.db", "a", 0))
    assert len(finished) == 2
    assert finished[0].params == CURRENT
    assert len(continue_search(lambda _settings: iter([1.0]))) == 5
    assert len(continue_search(fail_on_third_call)) == 5
    assert n_calls == 3


def test_a_trial_below_the_median_is_pruned_after_two_cells(tmp_path: Path) -> None:
    study = open_study(tmp_path / "s.db", "a", 0)
    n_trials, evaluated = 0, []

    def evaluate(_settings: object) -> Iterator[float]:
        nonlocal n_trials
        n_trials += 1
        trial = n_trials
        for step in range(9):
            evaluated.append((trial, step))
            yield -1.0 if trial == 7 else float(trial)

    run_trials(study, 7, dict(CURRENT), evaluate, ignore_progress)
    states = [trial.state for trial in finished_trials(study)]
    assert states == [TrialState.COMPLETE] * 6 + [TrialState.PRUNED]
    assert evaluated[-1] == (7, 1)


def test_agreement_ignores_ratings_of_pairs_without_a_score() -> None:
    reference = ReferenceRatings("tau_b", np.array([0, 1, 2, 3]), np.array([0.0, 0.5, 1.0, 0.0]))
    assert reference.agreement(np.array([0.1, 0.2, 0.3, np.nan])) == pytest.approx(100.0)
    assert reference.agreement(np.full(4, np.nan)) == 0.0


def test_a_search_is_evaluated_and_recorded_once(problem: TuningProblem, small_params: Params) -> None:
    experiment_name = small_params.train.experiment
    for n_trials in (2, 3):
        result, studies = tune(problem, n_trials)
        assert [len(finished_trials(study)) for study in studies] == [n_trials] * 3
        record_tuning(experiment_name, problem.key, problem.reference.metric, result, studies)
    assert result.gain is not None
    assert result.gain.low <= result.tuned - result.current <= result.gain.high
    assert any(result.best == study.best_trial.params for study in studies)
    client = mlflow.MlflowClient(os.environ["MLFLOW_TRACKING_URI"])
    experiment = client.get_experiment_by_name(experiment_name)
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    (parent,) = [run for run in runs if run.data.tags["kadr.role"] == "tune"]
    trials = [run for run in runs if run.data.tags["kadr.role"] == "trial"]
    assert parent.data.metrics["tau_c"] == pytest.approx(result.tuned)
    assert len(trials) == 9
    assert {run.data.tags["mlflow.parentRunId"] for run in trials} == {parent.info.run_id}
    assert "train.num_leaves" in trials[0].data.params
    assert all(parent.info.start_time <= run.info.start_time < run.info.end_time for run in trials)
    assert max(run.info.end_time for run in trials) <= parent.info.end_time
    without_trials = client.search_runs([experiment.experiment_id], "tags.`kadr.role` != 'trial'")
    assert [run.info.run_id for run in without_trials] == [parent.info.run_id]
    assert cell_table(problem, studies).row_count == 3
    current = {"num_leaves": small_params.train.num_leaves, "learning_rate": small_params.train.learning_rate}
    assert "are the best" in describe_result(problem, replace(result, best=current))
    assert "dvc exp run -S train.num_leaves=7 -S" in describe_result(problem, replace(result, best=SETTINGS))


def test_the_key_depends_on_the_seed_but_not_on_searched_settings(problem: TuningProblem) -> None:
    assert replace(problem, seed=1).key != problem.key
    assert with_train(problem, num_leaves=4).key == problem.key


@pytest.mark.parametrize("name", ["ratings", "queries", "image_embeddings", "text_embeddings"])
def test_the_key_depends_on_every_table(problem: TuningProblem, name: str) -> None:
    key = problem.key
    path = getattr(PROJECT, name)
    path = path / "clip.parquet" if path.is_dir() else path
    pq.write_table(pq.read_table(path).slice(1), path)
    assert replace(problem).key != key


def test_the_outer_cells_hold_out_each_image_once(problem: TuningProblem) -> None:
    image_ids = problem.pairs.table["image_id"]
    tested = [set(image_ids[cell.test]) for cell in problem.outer_cells]
    assert sum(map(len, tested)) == len(set().union(*tested)) == 24


def test_the_diagonal_is_used_if_folds_outnumber_queries(problem: TuningProblem) -> None:
    cells = with_train(problem, query_folds=30).outer_cells
    assert [cell.fold for cell in cells] == [0, 24 + 1, 2 * 24 + 2]


def test_too_few_queries_raise_an_error_before_any_trial(problem: TuningProblem, tmp_path: Path) -> None:
    selected = problem.pairs.table["query_id"].isin(["00.jpg#0", "01.jpg#0"]).to_numpy()
    pairs = replace(problem.pairs, table=problem.pairs.table[selected].reset_index(drop=True))
    with pytest.raises(ModelError, match=r"too few images or queries for inner folds. Increase train.image_folds"):
        tune(replace(problem, pairs=pairs), 2, tmp_path / "studies.db")
    assert not (tmp_path / "studies.db").exists()
