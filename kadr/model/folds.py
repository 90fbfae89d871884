"""Cross-validation folds of images and queries, and the cells that combine them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

Mask = np.ndarray[tuple[int], np.dtype[np.bool_]]
Folds = np.ndarray[tuple[int], np.dtype[np.int32]]


@dataclass(frozen=True)
class Cell:
    """The train pairs and test pairs of one cross-validation step.

    A cell of the grid combines one image fold with one query fold.

    Attributes:
        fold: number of the cell. In the grid, the number is image fold * n_query_folds + query fold.
        test: (n_pairs,) bool mask of the test pairs. In the grid, their images are in the image fold and their queries
            are in the query fold.
        train: (n_pairs,) bool mask of the train pairs. In the grid, their images are not in the image fold and their
            queries are not in the query fold.
        on_diagonal: True if the image fold and the query fold have the same number.
    """

    fold: int
    test: Mask
    train: Mask
    on_diagonal: bool = False


def assign_folds(groups: Sequence[str], n_folds: int, seed: int) -> Folds:
    """Assign each row to a random fold. Rows of the same group are in the same fold.

    The folds depend on the set of groups and on the seed, but not on the order of the rows. The numbers of
    groups in any two folds differ by at most one.

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

    The train pairs of a cell share neither images nor queries with its test pairs. A pair with only its image or only
    its query in the folds of the cell is neither a train pair nor a test pair. Cells without train pairs or test pairs
    are skipped. Every pair is a test pair in at most one cell.

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
    """Yield one cell for each image fold. Train pairs and test pairs have different images, but can share queries.

    Args:
        image_folds: (n_pairs,) image fold of each pair.
    """
    for i in np.unique(image_folds):
        test = image_folds == i
        if not test.all():
            yield Cell(int(i), test, ~test)
