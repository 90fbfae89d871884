"""Use an Optuna study to search for LightGBM settings within one outer cross-validation cell."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kadr.io.embeddings import Rows
from kadr.metrics import PAIR_METRICS
from kadr.model.cross_validation import FitPredict
from kadr.model.folds import Cell, Mask, assign_folds, grid_cells
from kadr.model.lightgbm import Scores
from kadr.params import TrainParams

if TYPE_CHECKING:
    import optuna

Settings = dict[str, float | int]

N_INNER_FOLDS = 3  # number of image folds and number of query folds, which give 3 x 3 inner cells
N_STARTUP_TRIALS = 5  # number of random trials before sampling and pruning use the results of earlier trials


class SearchRange(NamedTuple):
    """The range of values that the search tries for one setting.

    Attributes:
        low: smallest value.
        high: largest value.
        log: True if values are sampled on a logarithmic scale.
    """

    low: float
    high: float
    log: bool


SEARCH_SPACE: Mapping[str, SearchRange] = {
    "num_leaves": SearchRange(4, 63, log=True),
    "min_data_in_leaf": SearchRange(5, 200, log=True),
    "n_estimators": SearchRange(40, 400, log=True),
    "learning_rate": SearchRange(0.02, 0.3, log=True),
    "feature_fraction": SearchRange(0.05, 1.0, log=False),
    "bagging_fraction": SearchRange(0.4, 1.0, log=False),
    "lambda_l2": SearchRange(0.1, 100.0, log=True),
}
"""Search range of each setting, by its key in the `train` section.

Integer settings in `TrainParams` get integer values.
"""


@dataclass(frozen=True)
class ReferenceRatings:
    """Ratings to compare with the scores of the model.

    Attributes:
        metric: name of the agreement metric: `tau_c` for expert ratings, `tau_b` for crowd ratings.
        rows: (n_ratings,) row number of each rating's pair.
        ratings: (n_ratings,) values of the ratings.
    """

    metric: str
    rows: Rows
    ratings: Scores

    def agreement(self, scores: Scores) -> float:
        """Return the agreement of the scores with the ratings.

        Args:
            scores: (n_pairs,) scores. Ratings of pairs whose score is NaN are ignored.

        Returns:
            The value of the metric, or 0 if the metric is undefined.
        """
        scored = ~np.isnan(scores[self.rows])
        return PAIR_METRICS[self.metric](self.ratings[scored], scores[self.rows[scored]]) or 0.0


def make_inner_cells(outer: Cell, image_ids: Sequence[str], groups: Sequence[str], seed: int) -> list[Cell]:
    """Create inner cells for cross-validation within the training pairs of an outer cell.

    Args:
        outer: outer cell. The inner cells do not contain its test pairs.
        image_ids: (n_pairs,) image ID of each pair.
        groups: (n_pairs,) query group of each pair (`kadr.io.query_groups`).
        seed: random seed of the inner folds.
    """
    rows = np.flatnonzero(outer.train)
    image_folds = assign_folds([image_ids[row] for row in rows.tolist()], N_INNER_FOLDS, seed)
    query_folds = assign_folds([groups[row] for row in rows.tolist()], N_INNER_FOLDS, seed + 1)
    return [
        Cell(cell.fold, _mask(len(image_ids), rows[cell.test]), _mask(len(image_ids), rows[cell.train]))
        for cell in grid_cells(image_folds, query_folds)
    ]


def _mask(n: int, rows: Rows) -> Mask:
    mask = np.zeros(n, dtype=bool)
    mask[rows] = True
    return mask


def cumulative_agreement(
    fit_predict: FitPredict, cells: Sequence[Cell], reference: ReferenceRatings, n_pairs: int
) -> Iterator[float]:
    """Train and test in one cell after another. After each cell, yield the agreement on all pairs tested so far.

    Args:
        fit_predict: function that trains on the training pairs of a cell and returns the scores of its test pairs.
        cells: inner cells.
        reference: ratings to compare with the scores.
        n_pairs: number of pairs.
    """
    scores = np.full(n_pairs, np.nan)
    for cell in cells:
        scores[cell.test] = fit_predict(np.flatnonzero(cell.train), np.flatnonzero(cell.test))
        yield reference.agreement(scores)


def open_study(path: Path, name: str, seed: int) -> "optuna.Study":
    """Open a study in an SQLite database, or create it if it does not exist.

    Args:
        path: path of the database file.
        name: name of the study.
        seed: random seed of the sampler.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    path.parent.mkdir(parents=True, exist_ok=True)
    storage = optuna.storages.RDBStorage(f"sqlite:///{path}", engine_kwargs={"connect_args": {"timeout": 60}})
    study = optuna.create_study(storage=storage, study_name=name, direction="maximize", load_if_exists=True)
    study.sampler = optuna.samplers.TPESampler(n_startup_trials=N_STARTUP_TRIALS, seed=seed + len(study.trials))
    study.pruner = optuna.pruners.MedianPruner(n_startup_trials=N_STARTUP_TRIALS, n_warmup_steps=1)
    return study


def finished_trials(study: "optuna.Study") -> "list[optuna.trial.FrozenTrial]":
    """Return the completed trials and the pruned trials. Interrupted trials are not included."""
    from optuna.trial import TrialState

    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))


def run_trials(
    study: "optuna.Study",
    n_trials: int,
    current: Settings,
    evaluate: Callable[[Settings], Iterator[float]],
    on_trial: Callable[[int], None],
) -> None:
    """Run trials until the study has `n_trials` finished trials. The first trial uses the current settings.

    Args:
        study: a new study, or a study to resume.
        n_trials: number of finished trials, including trials of earlier runs.
        current: settings in params.yaml.
        evaluate: function that takes settings and yields the agreement after each inner cell. The last agreement is the
            value of the trial.
        on_trial: function that advances a progress bar, called with 1 after each trial.
    """
    import optuna

    def objective(trial: "optuna.Trial") -> float:
        value = 0.0
        for step, value in enumerate(evaluate({key: suggest_value(trial, key) for key in SEARCH_SPACE})):
            trial.report(value, step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return value

    finished = finished_trials(study)
    waiting = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.WAITING,))
    if not waiting and not any(trial.params == current for trial in finished):
        study.enqueue_trial(current)
    study.optimize(objective, max(0, n_trials - len(finished)), callbacks=[lambda _study, _trial: on_trial(1)])


def suggest_value(trial: "optuna.Trial", key: str) -> float | int:
    """Let the sampler of the study choose the value of one setting for a trial."""
    low, high, log = SEARCH_SPACE[key]
    if TrainParams.model_fields[key].annotation is int:
        return trial.suggest_int(key, int(low), int(high), log=log)
    return trial.suggest_float(key, low, high, log=log)


def current_settings(params: TrainParams) -> Settings:
    """Return the current values of the settings in SEARCH_SPACE."""
    return {key: getattr(params, key) for key in SEARCH_SPACE}
