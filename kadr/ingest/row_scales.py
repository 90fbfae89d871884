"""Rating scales of single rows, in the columns scale_min and scale_max of a ratings file."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from kadr.ingest.blank_words import clear_words
from kadr.ingest.number_cells import DecimalSeparator, parse_number_cells
from kadr.ingest.quarantine import Rule
from kadr.ingest.rating_scale import EXPERT, RatingScale
from kadr.ingest.raw_input import RawLongRatings, RawRatings


def scale_rules(scales: Mapping[str, RatingScale]) -> tuple[Rule, ...]:
    """Return the rule for rows whose scale_min is not a number below scale_max.

    Args:
        scales: scale of the rows without their own scale, by source.
    """

    def is_invalid(rows: pd.DataFrame) -> "pd.Series[bool]":
        sources = rows["source"] if "source" in rows else pd.Series(EXPERT, index=rows.index)
        default_low = sources.map({source: scale.minimum for source, scale in scales.items()})
        default_high = sources.map({source: scale.maximum for source, scale in scales.items()})
        low, high = _parse_ends(rows["scale_min"], default_low), _parse_ends(rows["scale_max"], default_high)
        return ~(low < high)

    return (Rule("scale_invalid", "scale_max", is_invalid),)


def row_scale(rows: pd.DataFrame, default: RatingScale) -> RatingScale:
    """Return the scale of each row. Rows with a blank scale_min or scale_max use this end of the default scale."""
    if not {"scale_min", "scale_max"} <= set(rows.columns):
        return default
    ends = {"scale_min": default.minimum, "scale_max": default.maximum}
    return RatingScale(default.source, *(_parse_ends(rows[name], end) for name, end in ends.items()))


def stated_scales(files: Sequence[RawRatings | RawLongRatings], source: str) -> list[tuple[float, float]]:
    """Return the different scales that rows of one source state in scale_min and scale_max, sorted."""
    scales: set[tuple[float, float]] = set()
    for raw in files:
        if not {"scale_min", "scale_max"} <= set(raw.rows.columns):
            continue
        rows = raw.rows
        if isinstance(raw, RawLongRatings):
            rows = rows[rows["source"] == source]
        elif source != EXPERT:
            continue
        ends = rows[["scale_min", "scale_max"]].drop_duplicates()
        low, high = (_parse_ends(ends[name], np.nan) for name in ends.columns)
        scales |= set(zip(low[low < high], high[low < high], strict=True))
    return sorted(scales)


def _parse_ends(cells: "pd.Series[str]", default: "float | pd.Series[float]") -> "pd.Series[float]":
    """Return the number in each cell, the default for a blank cell, and nan for any other cell."""
    cells = clear_words(cells)
    numbers, _ = parse_number_cells(cells, DecimalSeparator())
    return numbers.mask(cells == "", default)
