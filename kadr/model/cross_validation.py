"""Compute out-of-fold scores of the relevance model and its baselines by cross-validation."""

from collections.abc import Callable, Iterable

import numpy as np

from kadr.errors import ModelError
from kadr.io.embeddings import Rows
from kadr.model.folds import Cell, Folds
from kadr.model.lightgbm import Scores

FitPredict = Callable[[Rows, Rows], Scores]
"""Function `fit_predict(train, test)` that trains on the pairs in rows `train` and scores the pairs in rows `test`."""


def out_of_fold(
    fit_predict: FitPredict, cells: Iterable[Cell], n_pairs: int, on_cell: Callable[[int], None] = lambda _n: None
) -> tuple[Scores, Folds]:
    """Score each pair with a model that was not trained on this pair.

    Args:
        fit_predict: function that trains on the training pairs of a cell and returns the scores of its test pairs.
        cells: cross-validation cells. Each pair is a test pair in exactly one cell.
        n_pairs: number of pairs.
        on_cell: function that is called with 1 after each cell, to advance a progress bar.

    Returns:
        Two arrays of shape (n_pairs,): the score of each pair (float64), and the number of the cell in which the pair
        was tested (int32).

    Raises:
        ModelError: a pair is not a test pair in any cell.
    """
    scores = np.full(n_pairs, np.nan)
    fold = np.full(n_pairs, -1, dtype=np.int32)
    for cell in cells:
        scores[cell.test] = fit_predict(np.flatnonzero(cell.train), np.flatnonzero(cell.test))
        fold[cell.test] = cell.fold
        on_cell(1)
    if (fold < 0).any():
        raise ModelError(
            f"{int((fold < 0).sum())} of {n_pairs} pairs cannot be held out, because no pairs with other images and "
            "other queries remain for training. Increase train.image_folds and train.query_folds, or add ratings."
        )
    return scores, fold


def mean_baseline(relevance: Scores, weight: Scores) -> FitPredict:
    """Return a baseline that predicts the weighted mean relevance of the training pairs.

    Args:
        relevance: (n_pairs,) relevance of each pair in 0..1.
        weight: (n_pairs,) positive training weight of each pair.
    """

    def fit_predict(train: Rows, test: Rows) -> Scores:
        return np.full(len(test), np.average(relevance[train], weights=weight[train]))

    return fit_predict


def fixed_score_baseline(scores: Scores) -> FitPredict:
    """Return a baseline that needs no training, such as the cosine similarity.

    Args:
        scores: (n_pairs,) fixed score of each pair.
    """

    def fit_predict(_train: Rows, test: Rows) -> Scores:
        return scores[test]

    return fit_predict
