"""The library room's folds: what is learned from and what is judged on, unseen photos and unseen texts at once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

Mask = np.ndarray[tuple[int], np.dtype[np.bool_]]
Folds = np.ndarray[tuple[int], np.dtype[np.int32]]


@dataclass(frozen=True)
class Cell:
    """One cell of the grid (image fold x query fold).

    Attributes:
        fold: image fold * n query folds + query fold.
        test: (n_pairs,) True for pairs whose photo is in the image fold and whose text is in the query fold.
        train: (n_pairs,) True for pairs of which neither the photo nor the text is in the cell's folds.
        on_diagonal: whether the image fold and the query fold have the same number.
    """

    fold: int
    test: Mask
    train: Mask
    on_diagonal: bool = False


def assign_folds(groups: Sequence[str], n_folds: int, seed: int) -> Folds:
    """Fold 0..n_folds-1 of every row, equal groups together, folds of equal size but for one group; (n,) int32.

    It depends on the set of groups and the seed alone, not on the order of rows.
    """
    names = np.unique(np.asarray(groups, dtype=object).astype(str)) if len(groups) else np.empty(0, dtype=str)
    order = np.random.default_rng(seed).permutation(len(names))
    fold_of = dict(zip(names[order].tolist(), (np.arange(len(names)) % n_folds).tolist(), strict=True))
    return np.fromiter((fold_of[group] for group in groups), dtype=np.int32, count=len(groups))


def cells(image_folds: Folds, query_folds: Folds) -> Iterator[Cell]:
    """The grid's cells that hold at least one pair to test and one to train on.

    A training pair shares neither its photo nor its text with any test pair of the cell: pairs that share one of them
    are left out of both. Every pair is tested in exactly one cell.
    """
    n_query_folds = int(query_folds.max(initial=-1)) + 1
    for i in np.unique(image_folds):
        for j in np.unique(query_folds):
            test = (image_folds == i) & (query_folds == j)
            train = (image_folds != i) & (query_folds != j)
            if test.any() and train.any():
                yield Cell(int(i) * n_query_folds + int(j), test, train, on_diagonal=bool(i == j))


def image_cells(image_folds: Folds) -> Iterator[Cell]:
    """The cells that hold out photos alone: a training pair shares no photo with any test pair, but maybe its text."""
    for i in np.unique(image_folds):
        test = image_folds == i
        if not test.all():
            yield Cell(int(i), test, ~test)
