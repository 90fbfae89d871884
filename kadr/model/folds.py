"""Cross-validation folds that separate both images and queries."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

Mask = np.ndarray[tuple[int], np.dtype[np.bool_]]
Folds = np.ndarray[tuple[int], np.dtype[np.int32]]


@dataclass(frozen=True)
class Cell:
    """Train and test pairs of one cross-validation step, usually one image fold x one query fold.

    Attributes:
        fold: number of the cell, image fold * n_query_folds + query fold.
        test: (n_pairs,) True for pairs whose image is in the image fold and whose query is in the query fold.
        train: (n_pairs,) True for pairs whose image and query are both outside the folds of the cell.
        on_diagonal: True if the image fold and the query fold have the same number.
    """

    fold: int
    test: Mask
    train: Mask
    on_diagonal: bool = False


def assign_folds(groups: Sequence[str], n_folds: int, seed: int) -> Folds:
    """Assign each row to a random fold. Rows of the same group share a fold.

    The folds depend on the set of groups and on the seed, not on the order of rows. The numbers of groups in two
    folds differ by at most one.

    Args:
        groups: (n,) group of each row.
        n_folds: number of folds.
        seed: random seed.

    Returns:
        (n,) int32 in 0..n_folds-1.
    """
    names = np.unique(np.asarray(groups, dtype=object).astype(str)) if len(groups) else np.empty(0, dtype=str)
    order = np.random.default_rng(seed).permutation(len(names))
    fold_by_group = dict(zip(names[order].tolist(), (np.arange(len(names)) % n_folds).tolist(), strict=True))
    return np.fromiter((fold_by_group[group] for group in groups), dtype=np.int32, count=len(groups))


def grid_cells(image_folds: Folds, query_folds: Folds) -> Iterator[Cell]:
    """Yield the cells image fold x query fold that have both train and test pairs.

    A train pair shares neither its image nor its query with a test pair of the same cell. Pairs that share one of them
    are in neither set. Every pair is a test pair of at most one cell.

    Args:
        image_folds: (n_pairs,) fold of each pair's image.
        query_folds: (n_pairs,) fold of each pair's query.
    """
    n_query_folds = int(query_folds.max(initial=-1)) + 1
    for i in np.unique(image_folds):
        for j in np.unique(query_folds):
            test = (image_folds == i) & (query_folds == j)
            train = (image_folds != i) & (query_folds != j)
            if test.any() and train.any():
                yield Cell(int(i) * n_query_folds + int(j), test, train, on_diagonal=bool(i == j))


def image_cells(image_folds: Folds) -> Iterator[Cell]:
    """Yield cells that hold out images alone. Train and test pairs can share queries.

    Args:
        image_folds: (n_pairs,) fold of each pair's image.
    """
    for i in np.unique(image_folds):
        test = image_folds == i
        if not test.all():
            yield Cell(int(i), test, ~test)
