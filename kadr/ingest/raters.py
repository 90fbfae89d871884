"""The ingest part's test of rater identity: whether columns of ratings can be persons."""

import numpy as np
import numpy.typing as npt

MIN_COLUMNS, MIN_ROWS = 3, 20
SORTED_SHARE = 0.98


def are_persons(ratings: npt.NDArray[np.float64]) -> bool:
    """Whether the columns can be persons: no, where nearly every row is sorted ascending.

    Persons who rate apart from one another are sorted by chance alone; three of them on four steps in well under half
    of the rows. Rows with a blank are left out, and so are rows of equal ratings, which are sorted whoever gave them.

    Args:
        ratings: (n_rows, n_columns), nan where blank.

    Returns:
        True too where there is too little to tell: fewer than 3 columns or 20 rows.
    """
    complete = ratings[~np.isnan(ratings).any(axis=1)]
    telling = complete[complete.min(axis=1) < complete.max(axis=1)] if ratings.shape[1] else complete
    if ratings.shape[1] < MIN_COLUMNS or len(telling) < MIN_ROWS:
        return True
    return bool((np.diff(telling, axis=1) >= 0).all(axis=1).mean() < SORTED_SHARE)
