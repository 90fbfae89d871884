"""Parse expert ratings, and test whether each rating column contains the ratings of a single rater."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from kadr.ingest.number_cells import DecimalSeparator
from kadr.ingest.rating_scale import ParsedRatings, RatingScale, parse_numbers
from kadr.ingest.raw_input import RawLongRatings, RawRatings

MIN_COLUMNS, MIN_ROWS = 3, 20
MAX_SORTED_SHARE = 0.98


def parse_expert_columns(
    raw: RawRatings,
    rows: pd.DataFrame,
    scale: RatingScale,
    separator: DecimalSeparator,
    raters: "pd.Series[str] | None" = None,
) -> tuple[list[ParsedRatings], bool | None]:
    """Parse the expert rating columns of a ratings file.

    If `raters` is None and each column contains the ratings of a single rater, the column name is used as the rater ID.
    Otherwise, if `raters` is None, the raters are unknown.

    Args:
        raw: content of the ratings file.
        rows: rows of the file whose image and text are valid.
        scale: scale of the ratings.
        separator: evidence about the decimal separator of the file.
        raters: rater ID of each row, nan if unknown. None if the file has no rater IDs.

    Returns:
        The ratings in each column, and whether the columns identify the raters. The second value is None if the file
        has no expert columns, or if `raters` is given.
    """
    columns = raw.expert_columns
    parsed = [parse_numbers(raw.file, rows[column], scale, separator) for column in columns]
    if not parsed:
        return [], None
    if raters is not None:
        return [ParsedRatings(scale, values, 1, raters, quarantine) for values, quarantine in parsed], None
    identified = columns_identify_raters(np.column_stack([values for values, _ in parsed]))
    ratings = [
        ParsedRatings(scale, values, votes=1, raters=column if identified else None, quarantine=quarantine)
        for column, (values, quarantine) in zip(columns, parsed, strict=True)
    ]
    return ratings, identified


def parse_expert_ratings(
    raw: RawLongRatings, rows: pd.DataFrame, scale: RatingScale, separator: DecimalSeparator
) -> ParsedRatings:
    """Parse the expert ratings of a long table.

    Args:
        raw: content of the ratings file.
        rows: expert ratings whose image and text are valid, with the columns rater and rating.
        scale: scale of the ratings.
        separator: evidence about the decimal separator of the file.
    """
    values, quarantine = parse_numbers(raw.file, raw.rating_cells(rows), scale, separator)
    raters = rows["rater"].where(rows["rater"] != "")
    return ParsedRatings(scale, values, votes=1, raters=raters, quarantine=quarantine)


def columns_identify_raters(ratings: npt.NDArray[np.float64]) -> bool:
    """Return whether each column appears to contain the ratings of a single person.

    In some datasets, the ratings in each row are sorted, so each column contains the ratings of several people. Ratings
    by independent raters are in ascending order only by chance. With three raters and a scale of 1 to 4, this is the
    case in well under half of the rows. The test ignores rows that contain a blank cell and rows whose ratings are all
    equal.

    Args:
        ratings: (n_rows, n_columns) ratings. Blank cells are nan.

    Returns:
        False if at least 98% of the tested rows are sorted. True otherwise, and always if there are fewer than 3
        columns or fewer than 20 rows to test.
    """
    complete = ratings[~np.isnan(ratings).any(axis=1)]
    tested = complete[complete.min(axis=1) < complete.max(axis=1)] if ratings.shape[1] else complete
    if ratings.shape[1] < MIN_COLUMNS or len(tested) < MIN_ROWS:
        return True
    return bool((np.diff(tested, axis=1) >= 0).all(axis=1).mean() < MAX_SORTED_SHARE)
