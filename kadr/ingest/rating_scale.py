"""Rating scales, and a parser that converts rating cells to numbers on a scale."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from kadr.ingest.quarantine import empty_quarantine, quarantine_cells


@dataclass(frozen=True)
class RatingScale:
    """Lowest and highest rating of one source.

    Attributes:
        source: source of the ratings, `expert` or `crowd`.
        minimum: rating of a text that does not describe the image at all.
        maximum: rating of a text that describes the image perfectly.
    """

    source: str
    minimum: float
    maximum: float


EXPERT_SCALE = RatingScale("expert", 1.0, 4.0)
CROWD_SCALE = RatingScale("crowd", 0.0, 1.0)


@dataclass(frozen=True)
class ParsedRatings:
    """Parsed ratings of one source, with at most one rating for each row of a ratings file.

    Attributes:
        scale: rating scale of the source.
        values: rating in each row, or nan if the cell is blank or invalid. The index contains the row numbers in the
            file.
        votes: number of people who gave each rating.
        raters: ID of the rater of each row, a single ID for all rows, or None if the raters are unknown.
        quarantine: invalid cells, as rows of the QUARANTINE table.
    """

    scale: RatingScale
    values: "pd.Series[float]"
    votes: "pd.Series[int] | int"
    raters: "pd.Series[str] | str | None"
    quarantine: pd.DataFrame


def parse_numbers(file: str, cells: "pd.Series[str]", scale: RatingScale) -> tuple["pd.Series[float]", pd.DataFrame]:
    """Convert rating cells to numbers on a scale.

    Args:
        file: name of the ratings file.
        cells: cells of one column, as text.
        scale: rating scale. Numbers outside the scale are invalid.

    Returns:
        The number in each cell (nan if the cell is blank or invalid), and the invalid cells as rows of the QUARANTINE
        table.
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
