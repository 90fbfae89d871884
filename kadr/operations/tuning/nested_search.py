"""Hyperparameter search in nested cross-validation (Varma and Simon 2006).

Each outer cell on the diagonal of the grid has its own Optuna study. The study compares settings by cross-validation
within the training pairs of its cell. The best settings of the study are then evaluated on the test pairs of the cell,
which the study has not used. The agreement over all outer cells is an unbiased estimate for a tuned model. The studies
are saved in models/tune, so that an interrupted search can be resumed.
"""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kadr.io.embeddings import Rows
from kadr.metrics import Interval, bootstrap
from kadr.model.folds import Cell
from kadr.model.lightgbm import Scores
from kadr.operations.tuning.study import (
    ReferenceRatings,
    Settings,
    current_settings,
    finished_trials,
    open_study,
    run_trials,
)
from kadr.operations.tuning.tuning_problem import TuningProblem
from kadr.operations.tuning.tuning_result import TuningResult
from kadr.progress import progress
from kadr.project import PROJECT

if TYPE_CHECKING:
    import optuna

STUDIES = PROJECT.models / "tune" / "studies.db"


def tune(problem: TuningProblem, n_trials: int, studies: Path = STUDIES) -> "tuple[TuningResult, list[optuna.Study]]":
    """Search for the best settings of every outer cell, and evaluate these settings on the test pairs of the cell.

    Args:
        problem: pairs, cross-validation cells and settings that the search uses.
        n_trials: number of finished trials per outer cell, including trials of earlier runs.
        studies: path of the SQLite database that contains the studies.

    Returns:
        The result of the search, and one study per outer cell.

    Raises:
        ModelError: there are too few pairs for the outer folds or the inner folds.
    """
    current = current_settings(problem.settings.train)
    finished_studies, inner_cells = [], [problem.inner_cells(cell) for cell in problem.outer_cells]
    with progress("trials", n_trials * len(problem.outer_cells)) as advance:
        for outer, inner in zip(problem.outer_cells, inner_cells, strict=True):
            name = f"{problem.settings.train.experiment}-{problem.key}-cell{outer.fold}"
            study = open_study(studies, name, problem.seed + outer.fold)
            advance(min(n_trials, len(finished_trials(study))))
            run_trials(study, n_trials, current, partial(problem.cumulative_agreement, inner), advance)
            finished_studies.append(study)
    return evaluate(problem, [study.best_trial.params for study in finished_studies]), finished_studies


def evaluate(problem: TuningProblem, candidates: list[Settings]) -> TuningResult:
    """Evaluate the candidate of each outer cell on the test pairs of the cell, and select the best candidate.

    Args:
        problem: pairs, cross-validation cells and settings that the search uses.
        candidates: best settings of each study, in the order of the outer cells.
    """
    current, n_pairs = current_settings(problem.settings.train), len(problem.pairs.table)
    scores = {"tuned": np.full(n_pairs, np.nan), "current": np.full(n_pairs, np.nan)}
    with progress("evaluate", 2 * len(candidates)) as advance:
        for cell, candidate in zip(problem.outer_cells, candidates, strict=True):
            for name, settings in (("tuned", candidate), ("current", current)):
                rows = np.flatnonzero(cell.train), np.flatnonzero(cell.test)
                scores[name][cell.test] = problem.fit_predict(settings)(*rows)
                advance(1)
    tuned_agreement, current_agreement = (problem.reference.agreement(scores[name]) for name in ("tuned", "current"))
    best = select_best(problem, candidates)
    return TuningResult(best, tuned_agreement, current_agreement, _gain(problem, **scores))


def select_best(problem: TuningProblem, candidates: list[Settings]) -> Settings:
    """Return the candidate with the highest mean agreement in the inner folds of all outer cells.

    Args:
        problem: pairs, cross-validation cells and settings that the search uses.
        candidates: best settings of each study. Identical candidates are evaluated once.
    """
    inner_cells = [problem.inner_cells(cell) for cell in problem.outer_cells]
    distinct = [settings for i, settings in enumerate(candidates) if settings not in candidates[:i]]
    with progress("select", len(distinct) * sum(map(len, inner_cells))) as advance:

        def inner_agreement(cells: list[Cell], settings: Settings) -> float:
            values = []
            for value in problem.cumulative_agreement(cells, settings):
                values.append(value)
                advance(1)
            return values[-1]

        return max(
            distinct,
            key=lambda settings: float(np.mean([inner_agreement(cells, settings) for cells in inner_cells])),
        )


def _gain(problem: TuningProblem, tuned: Scores, current: Scores) -> Interval | None:
    """Return the gain in agreement with its bootstrap interval, or None if no test pair is rated.

    The bootstrap resamples images.

    Args:
        problem: pairs, cross-validation cells and settings that the search uses.
        tuned: (n_pairs,) scores with the settings from the search.
        current: (n_pairs,) scores with the settings in params.yaml.
    """
    reference, settings = problem.reference, problem.evaluate
    tested = np.flatnonzero(~np.isnan(current[reference.rows]))

    def gain(resample: Rows) -> float:
        sample = tested[resample]
        resampled = ReferenceRatings(reference.metric, reference.rows[sample], reference.ratings[sample])
        return resampled.agreement(tuned) - resampled.agreement(current)

    image_ids = problem.pairs.table["image_id"].to_numpy()[reference.rows[tested]].tolist()
    return bootstrap(gain, image_ids, settings.n_bootstrap, settings.confidence, problem.seed)
