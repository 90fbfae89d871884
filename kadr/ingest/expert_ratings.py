"""Parse expert ratings, and test whether rating columns identify the raters."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from kadr.ingest.rating_scale import EXPERT_SCALE, ParsedRatings, parse_numbers

MIN_COLUMNS, MIN_ROWS = 3, 20
MAX_SORTED_SHARE = 0.98


def parse_expert_columns(
    file: str, rows: pd.DataFrame, columns: Sequence[str]
) -> tuple[list[ParsedRatings], bool | None]:
    """Parse one column of ratings per expert.

    Args:
        file: name of the ratings file.
        rows: cells as text, with the index `row`.
        columns: names of the rating columns.

    Returns:
        The ratings of each column, and whether the columns identify the raters (None without columns). If they do, the
        rater is the name of the column. Otherwise the rater is unknown.
    """
    parsed = [parse_numbers(file, rows[column], EXPERT_SCALE) for column in columns]
    if not parsed:
        return [], None
    identified = columns_identify_raters(np.column_stack([values for values, _ in parsed]))
    ratings = [
        ParsedRatings(EXPERT_SCALE, values, votes=1, raters=column if identified else None, quarantine=quarantine)
        for column, (values, quarantine) in zip(columns, parsed, strict=True)
    ]
    return ratings, identified


def parse_expert_ratings(file: str, rows: pd.DataFrame) -> ParsedRatings:
    """Parse the expert ratings of a long table.

    Args:
        file: name of the ratings file.
        rows: columns rater and rating as text, with the index `row`.
    """
    values, quarantine = parse_numbers(file, rows["rating"], EXPERT_SCALE)
    raters = rows["rater"].where(rows["rater"] != "")
    return ParsedRatings(EXPERT_SCALE, values, votes=1, raters=raters, quarantine=quarantine)


def columns_identify_raters(ratings: npt.NDArray[np.float64]) -> bool:
    """Return whether each column can hold the ratings of one person.

    Some datasets sort the ratings within each row, so that a column does not belong to a person. Independent raters
    give sorted rows by chance only: three raters on a scale of 1 to 4 in well under half of the rows. Rows with a
    blank cell or with equal ratings are not counted.

    Args:
        ratings: (n_rows, n_columns), nan if blank.

    Returns:
        False if at least 98 % of the rows are sorted. True if fewer than 3 columns or fewer than 20 rows can be tested.
    """
    complete = ratings[~np.isnan(ratings).any(axis=1)]
    tested = complete[complete.min(axis=1) < complete.max(axis=1)] if ratings.shape[1] else complete
    if ratings.shape[1] < MIN_COLUMNS or len(tested) < MIN_ROWS:
        return True
    return bool((np.diff(tested, axis=1) >= 0).all(axis=1).mean() < MAX_SORTED_SHARE)
