"""Cross-validation on unseen images and unseen queries: out-of-fold scores of the model and of baselines."""

from collections.abc import Callable, Iterable

import numpy as np

from kadr.errors import ModelError
from kadr.io.embeddings import Rows
from kadr.model.folds import Cell, Folds
from kadr.model.lightgbm import Scores

FitPredict = Callable[[Rows, Rows], Scores]
"""Function that trains on the first rows and returns the scores of the second rows."""


def out_of_fold(
    fit_predict: FitPredict, cells: Iterable[Cell], n_pairs: int, on_cell: Callable[[int], None] = lambda _n: None
) -> tuple[Scores, Folds]:
    """Score every pair with a model that was trained without the pair.

    Args:
        fit_predict: trains on the first rows and returns the scores of the second rows.
        cells: train and test pairs. Each pair is a test pair of one cell.
        n_pairs: number of pairs.
        on_cell: called with 1 after each cell, for progress bars.

    Returns:
        Scores (n_pairs,) float64, and the number of the cell that tested each pair (n_pairs,) int32.

    Raises:
        ModelError: a pair is a test pair of no cell.
    """
    scores = np.full(n_pairs, np.nan)
    fold = np.full(n_pairs, -1, dtype=np.int32)
    for cell in cells:
        scores[cell.test] = fit_predict(np.flatnonzero(cell.train), np.flatnonzero(cell.test))
        fold[cell.test] = cell.fold
        on_cell(1)
    if (fold < 0).any():
        raise ModelError(
            f"{int((fold < 0).sum())} of {n_pairs} pairs cannot be held out, because no pair with another image and "
            "another query is left for training. Lower train.image_folds and train.query_folds, or add ratings."
        )
    return scores, fold


def mean_baseline(relevance: Scores, weight: Scores) -> FitPredict:
    """Return a baseline that predicts the weighted mean relevance of the training pairs.

    Args:
        relevance: (n_pairs,) in 0..1.
        weight: (n_pairs,) positive.
    """

    def fit_predict(train: Rows, test: Rows) -> Scores:
        return np.full(len(test), np.average(relevance[train], weights=weight[train]))

    return fit_predict


def fixed_score_baseline(scores: Scores) -> FitPredict:
    """Return a baseline without training, such as the cosine.

    Args:
        scores: (n_pairs,) score of every pair.
    """

    def fit_predict(_train: Rows, test: Rows) -> Scores:
        return scores[test]

    return fit_predict
