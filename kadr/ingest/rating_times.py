"""Parse the times of ratings, to find the later of two ratings by the same rater."""

import re
from datetime import UTC, datetime

import numpy as np
import pandas as pd

_NUMBER = re.compile(r"\d{5,19}(?:\.\d*)?")
_DAY_AND_MONTH = re.compile(r"(\d{1,2})([./-])(\d{1,2})\2\d{2,4}\b.*")
_HOUR = 3600
_ZONES = {"PST": -8, "PDT": -7, "MST": -7, "MDT": -6, "CST": -6, "CDT": -5, "EST": -5, "EDT": -4, "CET": 1, "CEST": 2,
          "MSK": 3}  # fmt: skip
"""Offsets from UTC of time zone names, in hours."""

_DEFAULTS = (datetime(2000, 1, 1), datetime(2001, 2, 2))
"""Values of the parts that a text does not contain. A complete date does not depend on them."""


def parse_times(cells: "pd.Series[str]", *, day_first: bool) -> "pd.Series[float]":
    """Convert times to numbers that are higher for later times.

    Numbers, such as seconds since 1970, are compared as numbers if all cells have the same number of digits. Other
    cells are parsed as dates with an optional time. If only some cells contain a time zone, times without a zone cannot
    be compared.

    Args:
        cells: times, as text.
        day_first: whether 01/02/2024 is the first of February. Dates such as 01.02.2024 always start with the day.

    Returns:
        One number per cell. nan if the cell is not a time, or cannot be compared.
    """
    distinct = pd.Series(cells.unique(), dtype="str")
    numeric = distinct.str.fullmatch(_NUMBER.pattern)
    n_digits = distinct[numeric].str.split(".").str[0].str.len()
    if numeric.any() and (numeric | (distinct == "")).all():
        times = pd.to_numeric(distinct.where(numeric), errors="coerce")
        times = times if n_digits.nunique() == 1 else times * np.nan
    else:
        times = _parse_dates(distinct.mask(numeric, ""), day_first=day_first)
    return cells.map(dict(zip(distinct, times, strict=True))).astype(np.float64)


def day_first_readings(cells: "pd.Series[str]") -> list[bool]:
    """Return the possible values of `day_first` for a column: both values if all dates can be read in both ways."""
    numbers = cells.drop_duplicates().str.extract(_DAY_AND_MONTH)
    numbers = numbers[numbers[1].isin(["/", "-"])]
    first, second = (int(numbers[part].astype(float).max()) if len(numbers) else 0 for part in (0, 2))
    if first > 12 >= second:
        return [True]
    return [False] if second > 12 >= first or not len(numbers) else [True, False]


def _parse_dates(texts: "pd.Series[str]", *, day_first: bool) -> "pd.Series[float]":
    """Return seconds since 1970, or nan for a text that is not a date, or that has no time zone while others have."""
    iso = pd.to_datetime(texts, format="ISO8601", utc=True, errors="coerce")
    seconds = iso.astype("datetime64[us, UTC]").astype("int64").where(iso.notna()) / 1e6
    has_zone = texts.str.contains(r"(?:Z|[+-]\d{2}:?\d{2})$", regex=True) & texts.str.contains(
        r"\d[T ]?\d+:", regex=True
    )
    for position in texts.index[iso.isna() & (texts != "")]:
        time = _parse_date(texts[position], day_first=day_first)
        seconds[position] = np.nan if time is None else time.replace(tzinfo=time.tzinfo or UTC).timestamp()
        has_zone[position] = time is not None and time.tzinfo is not None
    is_mixed = has_zone.any() and not has_zone[seconds.notna()].all()
    return seconds.where(has_zone) if is_mixed else seconds


def _parse_date(text: str, *, day_first: bool) -> datetime | None:
    """Parse a date in a common form. Return None if the text contains no complete date."""
    from dateutil import parser

    match = _DAY_AND_MONTH.fullmatch(text)
    order = day_first or (match is not None and match[2] == ".")
    zones = {name: hours * _HOUR for name, hours in _ZONES.items()}
    try:
        times = [parser.parse(text, default=default, dayfirst=order, tzinfos=zones) for default in _DEFAULTS]
    except (ValueError, OverflowError):
        return None
    return times[0] if times[0].date() == times[1].date() else None
