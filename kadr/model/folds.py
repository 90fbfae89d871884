"""Cross-validation folds of images and queries, and the cells that combine them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

Mask = np.ndarray[tuple[int], np.dtype[np.bool_]]
Folds = np.ndarray[tuple[int], np.dtype[np.int32]]


@dataclass(frozen=True)
class Cell:
    """The training pairs and test pairs of one cross-validation step.

    `grid_cells` and `image_cells` create the cells.

    Attributes:
        fold: number of the cell.
        test: (n_pairs,) bool mask of the test pairs.
        train: (n_pairs,) bool mask of the training pairs.
        on_diagonal: True if the image fold and the query fold of the cell have the same number.
    """

    fold: int
    test: Mask
    train: Mask
    on_diagonal: bool = False


def assign_folds(groups: Sequence[str], n_folds: int, seed: int) -> Folds:
    """Assign each row to a random fold. Rows of the same group are in the same fold.

    The folds depend on the set of groups and on the seed, but not on the order of the rows. The numbers of groups in
    two folds differ by at most one.

    Args:
        groups: (n,) group name of each row.
        n_folds: number of folds.
        seed: random seed.

    Returns:
        (n,) int32 fold of each row, in 0..n_folds-1.
    """
    names = np.unique(np.asarray(groups, dtype=object).astype(str)) if len(groups) else np.empty(0, dtype=str)
    order = np.random.default_rng(seed).permutation(len(names))
    fold_by_group = dict(zip(names[order].tolist(), (np.arange(len(names)) % n_folds).tolist(), strict=True))
    return np.fromiter((fold_by_group[group] for group in groups), dtype=np.int32, count=len(groups))


def grid_cells(image_folds: Folds, query_folds: Folds) -> Iterator[Cell]:
    """Yield one cell for each combination of an image fold and a query fold.

    A pair is a test pair if its image is in the image fold and its query is in the query fold. It is a training pair if
    neither its image nor its query is in these folds. All other pairs are ignored. The training pairs and test pairs of
    a cell therefore share neither images nor queries, and every pair is a test pair in at most one cell. Cells without
    training pairs or test pairs are skipped.

    The number of a cell is image fold * n_query_folds + query fold.

    Args:
        image_folds: (n_pairs,) image fold of each pair.
        query_folds: (n_pairs,) query fold of each pair.
    """
    n_query_folds = int(query_folds.max(initial=-1)) + 1
    for i in np.unique(image_folds):
        for j in np.unique(query_folds):
            test = (image_folds == i) & (query_folds == j)
            train = (image_folds != i) & (query_folds != j)
            if test.any() and train.any():
                yield Cell(int(i) * n_query_folds + int(j), test, train, on_diagonal=bool(i == j))


def image_cells(image_folds: Folds) -> Iterator[Cell]:
    """Yield one cell for each image fold. Training pairs and test pairs have different images, but can share queries.

    Args:
        image_folds: (n_pairs,) image fold of each pair.
    """
    for i in np.unique(image_folds):
        test = image_folds == i
        if not test.all():
            yield Cell(int(i), test, ~test)
