"""Rating scales, and a parser that converts rating cells to numbers on a scale."""

from dataclasses import dataclass

import pandas as pd

from kadr.ingest.blank_words import clear_words, number_blank_words
from kadr.ingest.number_cells import DecimalSeparator, parse_number_cells
from kadr.ingest.quarantine import empty_quarantine, quarantine_cells

EXPERT, CROWD = "expert", "crowd"
SOURCES = [CROWD, EXPERT]
"""Sources of ratings, sorted."""


@dataclass(frozen=True)
class RatingScale:
    """Lowest and highest rating of one source.

    Attributes:
        source: source of the ratings, `expert` or `crowd`.
        minimum: rating of a text that does not describe the image at all. A number, or one number per row of a table.
        maximum: rating of a text that describes the image perfectly. A number, or one number per row of a table.
    """

    source: str
    minimum: "float | pd.Series[float]"
    maximum: "float | pd.Series[float]"

    def __str__(self) -> str:
        """Describe the scale as `1 to 4`."""
        return f"{self.minimum:g} to {self.maximum:g}"

    def for_rows(self, rows: pd.Index) -> "RatingScale":
        """Return the scale of the given rows."""
        ends = (end[rows] if isinstance(end, pd.Series) else end for end in (self.minimum, self.maximum))
        return RatingScale(self.source, *ends)

    def to_share(self, ratings: "pd.Series[float]") -> "pd.Series[float]":
        """Convert ratings on the scale to shares in 0..1."""
        return (ratings - self.minimum) / (self.maximum - self.minimum)

    def from_share(self, shares: "pd.Series[float]") -> "pd.Series[float]":
        """Convert shares in 0..1 to ratings on the scale."""
        return self.minimum + shares * (self.maximum - self.minimum)


EXPERT_SCALE = RatingScale(EXPERT, 1.0, 4.0)
CROWD_SCALE = RatingScale(CROWD, 0.0, 1.0)
"""Scales of data without any evidence, such as an empty column."""


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


def parse_numbers(
    file: str, cells: "pd.Series[str]", scale: RatingScale, separator: DecimalSeparator
) -> tuple["pd.Series[float]", pd.DataFrame]:
    """Convert rating cells to numbers on a scale.

    Args:
        file: name of the ratings file.
        cells: cells of one column, as text.
        scale: rating scale. Numbers outside the scale are invalid.
        separator: evidence about the decimal separator of the file.

    Returns:
        The number in each cell (nan if the cell is blank or invalid), and the invalid cells as rows of the QUARANTINE
        table.
    """
    cells = clear_words(cells, number_blank_words(cells))
    numbers, ambiguous = parse_number_cells(cells, separator)
    not_a_number = (cells != "") & numbers.isna() & ~ambiguous
    out_of_scale = is_out_of_scale(numbers, scale)
    column = str(cells.name)
    invalid = (
        quarantine_cells(file, column, cells[not_a_number], "rating_not_a_number"),
        quarantine_cells(file, column, cells[ambiguous], "number_ambiguous"),
        quarantine_cells(file, column, cells[out_of_scale], "rating_out_of_scale"),
    )
    return numbers.mask(out_of_scale), pd.concat([empty_quarantine(), *invalid])


def is_out_of_scale(numbers: "pd.Series[float]", scale: RatingScale) -> "pd.Series[bool]":
    """Return whether each number is outside the scale. nan is not outside the scale."""
    return (numbers < scale.minimum) | (numbers > scale.maximum)
