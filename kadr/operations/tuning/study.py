"""The search for better settings of the trees inside one outer cell, by folds of that cell's training part alone."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kadr.io.embeddings import Rows
from kadr.metrics import agreement
from kadr.model.folds import Cell, assign_folds, cells
from kadr.params import Params, TrainParams

if TYPE_CHECKING:
    import optuna

Settings = dict[str, float | int]
Scores = np.ndarray[tuple[int], np.dtype[np.float64]]
FitPredict = Callable[[Rows, Rows], Scores]

N_INNER = 3  # folds of photos and folds of texts: nine inner cells
N_STARTUP = 5  # trials before the sampler learns and the pruner stops any
SPACE: Mapping[str, tuple[float, float, bool]] = {
    "num_leaves": (4, 63, True),
    "min_data_in_leaf": (5, 200, True),
    "n_estimators": (40, 400, True),
    "learning_rate": (0.02, 0.3, True),
    "feature_fraction": (0.05, 1.0, False),
    "bagging_fraction": (0.4, 1.0, False),
    "lambda_l2": (0.1, 100.0, True),
}
"""Key of section `train` -> lowest, highest, whether on a logarithmic scale; whole numbers where params has them."""


@dataclass(frozen=True)
class People:
    """What people said, to judge scores by: rating i is of pair `rows[i]`.

    Attributes:
        figure: tau_c on single expert ratings, or tau_b on the crowd's shares where no expert rated.
        rows: (n_ratings,) row of the pair.
        rating: (n_ratings,).
    """

    figure: str
    rows: Rows
    rating: Scores

    def judge(self, scores: Scores) -> float:
        """The figure over the ratings of pairs that have a score (are not nan); 0 where it has none."""
        known = ~np.isnan(scores[self.rows])
        return agreement[self.figure](self.rating[known], scores[self.rows[known]]) or 0.0


def inner_cells(outer: Cell, image_ids: Sequence[str], groups: Sequence[str], seed: int) -> list[Cell]:
    """A grid of cells within the outer cell's training part; no pair outside of it is in any mask.

    Args:
        outer: the cell whose test part must stay unseen.
        image_ids: (n_pairs,) photo of each pair.
        groups: (n_pairs,) text group of each pair (kadr.io.query_groups).
        seed: of the folds.
    """
    rows = np.flatnonzero(outer.train)
    image_folds = assign_folds([image_ids[row] for row in rows.tolist()], N_INNER, seed)
    query_folds = assign_folds([groups[row] for row in rows.tolist()], N_INNER, seed + 1)
    return [
        Cell(cell.fold, _among(len(image_ids), rows[cell.test]), _among(len(image_ids), rows[cell.train]))
        for cell in cells(image_folds, query_folds)
    ]


def _among(n: int, rows: Rows) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    mask = np.zeros(n, dtype=bool)
    mask[rows] = True
    return mask


def running(fit_predict: FitPredict, inner: Sequence[Cell], people: People, n_pairs: int) -> Iterator[float]:
    """The figure over all inner cells so far, after each of them."""
    scores = np.full(n_pairs, np.nan)
    for cell in inner:
        scores[cell.test] = fit_predict(np.flatnonzero(cell.train), np.flatnonzero(cell.test))
        yield people.judge(scores)


def open_study(path: Path, name: str, seed: int) -> "optuna.Study":
    """The study of this name in the database at `path`, new or as far as it came."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    path.parent.mkdir(parents=True, exist_ok=True)
    storage = optuna.storages.RDBStorage(f"sqlite:///{path}", engine_kwargs={"connect_args": {"timeout": 60}})
    study = optuna.create_study(storage=storage, study_name=name, direction="maximize", load_if_exists=True)
    study.sampler = optuna.samplers.TPESampler(n_startup_trials=N_STARTUP, seed=seed + len(study.trials))
    study.pruner = optuna.pruners.MedianPruner(n_startup_trials=N_STARTUP, n_warmup_steps=1)
    return study


def finished(study: "optuna.Study") -> "list[optuna.trial.FrozenTrial]":
    """The trials that ended by themselves, complete or pruned; a killed one is neither."""
    from optuna.trial import TrialState

    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))


def search(
    study: "optuna.Study",
    n_trials: int,
    now: Settings,
    steps: Callable[[Settings], Iterator[float]],
    on_trial: Callable[[int], None],
) -> None:
    """Bring the study to `n_trials` finished trials; the first tries the settings as they are now.

    Args:
        study: by `open_study`.
        n_trials: finished trials wanted in all.
        now: the settings of params.yaml.
        steps: settings -> the figure after each inner cell; the last one is the trial's value.
        on_trial: is called with 1 after each trial.
    """
    import optuna

    def objective(trial: "optuna.Trial") -> float:
        value = 0.0
        for step, value in enumerate(steps({key: suggest(trial, key) for key in SPACE})):
            trial.report(value, step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return value

    done = finished(study)
    waiting = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.WAITING,))
    if not waiting and not any(trial.params == now for trial in done):
        study.enqueue_trial(now)
    study.optimize(objective, max(0, n_trials - len(done)), callbacks=[lambda _study, _trial: on_trial(1)])


def suggest(trial: "optuna.Trial", key: str) -> float | int:
    """The trial's value of one setting."""
    low, high, log = SPACE[key]
    if TrainParams.model_fields[key].annotation is int:
        return trial.suggest_int(key, int(low), int(high), log=log)
    return trial.suggest_float(key, low, high, log=log)


def as_now(params: Params) -> Settings:
    """The searched settings as params.yaml has them."""
    return {key: getattr(params.train, key) for key in SPACE}
