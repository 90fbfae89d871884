"""Rating scales, and the parsing of rating cells to numbers on a scale."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from kadr.ingest.quarantine import empty_quarantine, quarantine_cells


@dataclass(frozen=True)
class RatingScale:
    """The range of the ratings of one source.

    Attributes:
        source: expert or crowd.
        minimum: rating of a text that does not fit the image.
        maximum: rating of a text that fits the image completely.
    """

    source: str
    minimum: float
    maximum: float


EXPERT_SCALE = RatingScale("expert", 1.0, 4.0)
CROWD_SCALE = RatingScale("crowd", 0.0, 1.0)


@dataclass(frozen=True)
class ParsedRatings:
    """Ratings of one source, at most one per row of a ratings file.

    Attributes:
        scale: scale of the ratings.
        values: rating of each row, nan if the cell is blank or invalid. The index is the row of the file.
        votes: number of people behind each rating.
        raters: rater of each row, one rater for all rows, or None if the raters are unknown.
        quarantine: invalid cells.
    """

    scale: RatingScale
    values: "pd.Series[float]"
    votes: "pd.Series[int] | int"
    raters: "pd.Series[str] | str | None"
    quarantine: pd.DataFrame


def parse_numbers(file: str, cells: "pd.Series[str]", scale: RatingScale) -> tuple["pd.Series[float]", pd.DataFrame]:
    """Parse cells to numbers on a scale.

    Args:
        file: name of the ratings file.
        cells: text of one column.
        scale: allowed range.

    Returns:
        The numbers, nan if a cell is blank or invalid, and the quarantine of the invalid cells.
    """
    numbers = pd.to_numeric(cells.where(cells != ""), errors="coerce").astype(np.float64)
    not_a_number = (cells != "") & ~np.isfinite(numbers)
    out_of_scale = ~not_a_number & ((numbers < scale.minimum) | (numbers > scale.maximum))
    column = str(cells.name)
    invalid = (
        quarantine_cells(file, column, cells[not_a_number], "rating_not_a_number"),
        quarantine_cells(file, column, cells[out_of_scale], "rating_out_of_scale"),
    )
    return numbers.mask(not_a_number | out_of_scale), pd.concat([empty_quarantine(), *invalid])
