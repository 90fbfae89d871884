"""Cross-validation on unseen photos and unseen texts: out-of-fold scores of the model and of its baselines."""

from collections.abc import Callable, Iterable

import numpy as np

from kadr.errors import ModelError
from kadr.io.embeddings import Rows
from kadr.model.folds import Cell, Folds
from kadr.model.lightgbm import Scores

FitPredict = Callable[[Rows, Rows], Scores]


def out_of_fold(
    fit_predict: FitPredict, grid: Iterable[Cell], n_pairs: int, on_cell: Callable[[int], None] = lambda _n: None
) -> tuple[Scores, Folds]:
    """Scores of every pair by a model that saw neither its photo nor its text.

    Args:
        fit_predict: trains on the first rows and returns the scores of the second.
        grid: the cells of kadr.model.folds.cells.
        n_pairs: number of rows.
        on_cell: is called with 1 after each cell.

    Returns:
        Scores (n_pairs,) float64 and the cell that held each pair out (n_pairs,) int32.

    Raises:
        ModelError: a pair stands in no cell, because its cell had nothing to train on.
    """
    scores = np.full(n_pairs, np.nan)
    fold = np.full(n_pairs, -1, dtype=np.int32)
    for cell in grid:
        scores[cell.test] = fit_predict(np.flatnonzero(cell.train), np.flatnonzero(cell.test))
        fold[cell.test] = cell.fold
        on_cell(1)
    if (fold < 0).any():
        raise ModelError(
            f"{int((fold < 0).sum())} of {n_pairs} pairs cannot be held out: no pair with another photo and text "
            "is left to train on; lower train.image_folds and train.query_folds, or add ratings"
        )
    return scores, fold


def mean_baseline(relevance: Scores, weight: Scores) -> FitPredict:
    """The baseline that knows nothing of a pair: the weighted mean relevance of the training pairs."""

    def fit_predict(train: Rows, test: Rows) -> Scores:
        return np.full(len(test), np.average(relevance[train], weights=weight[train]))

    return fit_predict


def given_baseline(score: Scores) -> FitPredict:
    """A baseline that is not trained, such as the cosine."""

    def fit_predict(_train: Rows, test: Rows) -> Scores:
        return score[test]

    return fit_predict
