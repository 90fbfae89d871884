"""Parse cells that contain numbers, with a decimal point or a decimal comma.

A comma or point followed by three digits, as in 1,234, can separate decimals or thousands. Such a cell is read only if
other cells of the same file show which separator the file uses. Otherwise, the cell is ambiguous.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from kadr.ingest.blank_words import normalise_word

_POINT = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?")
_COMMA = re.compile(r"[+-]?\d*,\d+")
_COMMA_OR_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
_POINT_OR_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}\.\d{3}")
_COMMA_THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:(?:,\d{3}){2,}(?:\.\d*)?|,\d{3}\.\d*)")
_POINT_THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:(?:\.\d{3}){2,}(?:,\d*)?|\.\d{3},\d*)")


@dataclass(frozen=True)
class DecimalSeparator:
    """Evidence in the cells of a file about its decimal separator.

    Attributes:
        comma: whether a cell shows that a comma separates decimals, as in 2,5.
        thousands_comma: whether a cell shows that a comma separates thousands, as in 1,234.5.
    """

    comma: bool = False
    thousands_comma: bool = False

    @property
    def is_comma(self) -> bool:
        """Whether every comma separates decimals."""
        return self.comma and not self.thousands_comma


def find_decimal_separator(columns: Iterable["pd.Series[str]"]) -> DecimalSeparator:
    """Return the evidence about the decimal separator in the rating columns of a file."""
    words = {normalise_word(cell).rstrip("% ") for cells in columns for cell in cells.unique()}
    return DecimalSeparator(
        comma=any(_is_decimal_comma(word) or _POINT_THOUSANDS.fullmatch(word) for word in words),
        thousands_comma=any(_COMMA_THOUSANDS.fullmatch(word) for word in words),
    )


def parse_number(word: str, separator: DecimalSeparator) -> float | None:
    """Return the number in a normalised cell, nan if the cell is not a finite number, or None if it is ambiguous.

    >>> parse_number("0,33", DecimalSeparator())
    0.33
    >>> parse_number("1,234", DecimalSeparator())
    >>> parse_number("1,234", DecimalSeparator(comma=True))
    1.234
    """
    if _COMMA_OR_THOUSANDS.fullmatch(word):
        if separator.comma == separator.thousands_comma:
            return None
        return float(word.replace(",", "." if separator.comma else ""))
    if separator.is_comma and _POINT_OR_THOUSANDS.fullmatch(word):
        return None
    if _COMMA.fullmatch(word):
        word = word.replace(",", ".")
    elif _COMMA_THOUSANDS.fullmatch(word):
        word = word.replace(",", "")
    elif _POINT_THOUSANDS.fullmatch(word):
        word = word.replace(".", "").replace(",", ".")
    number = float(word) if _POINT.fullmatch(word) else np.nan
    return number if np.isfinite(number) else np.nan


def parse_number_cells(
    cells: "pd.Series[str]", separator: DecimalSeparator
) -> tuple["pd.Series[float]", "pd.Series[bool]"]:
    """Parse a column of numbers.

    Args:
        cells: cells of the column, as text.
        separator: evidence about the decimal separator of the file.

    Returns:
        The number in each cell, which is nan if the cell contains no number, and whether each cell is ambiguous.
    """
    codes, distinct = pd.factorize(cells)
    parsed = [parse_number(normalise_word(cell), separator) for cell in distinct]
    is_ambiguous = np.array([number is None for number in parsed], dtype=bool)
    numbers = np.array([np.nan if number is None else number for number in parsed], dtype=np.float64)
    return pd.Series(numbers[codes], cells.index), pd.Series(is_ambiguous[codes], cells.index)


def _is_decimal_comma(word: str) -> bool:
    """Return whether the comma in a cell can only separate decimals."""
    return bool(_COMMA.fullmatch(word)) and not _COMMA_OR_THOUSANDS.fullmatch(word)
