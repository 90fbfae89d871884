"""The ingest part's cells of ratings: text to numbers on a scale, and rows of the table RATINGS from them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from kadr.ingest.quarantine import Rule, no_quarantine, photo_rules, quarantined

EXPERT_SCALE = (1.0, 4.0)
CROWD_SCALE = (0.0, 1.0)
SOURCES = ["crowd", "expert"]


@dataclass(frozen=True)
class CheckedRatings:
    """What one file of ratings holds.

    Attributes:
        ratings: columns of the table RATINGS, in the order of columns and rows.
        quarantine: what was set aside.
        n_rows: all rows of the file.
        persons: whether the expert columns can be persons; None where there are no such columns.
    """

    ratings: pd.DataFrame
    quarantine: pd.DataFrame
    n_rows: int
    persons: bool | None


def pair_rules(photos: Mapping[str, str], queries: Mapping[str, str]) -> tuple[Rule, ...]:
    """Rules that a row's photo and text can be used.

    Args:
        photos: image_id -> status, see `photo_rules`.
        queries: query_id -> split of the texts that are known. By a test query no model may learn.
    """
    return (
        *photo_rules(photos),
        Rule("text_empty", "query_id", lambda rows: rows["query_id"] == ""),
        Rule("query_text_unknown", "query_id", lambda rows: ~rows["query_id"].isin(queries.keys())),
        Rule("query_in_test", "query_id", lambda rows: rows["query_id"].map(queries) == "test"),
    )


def with_categories(rows: pd.DataFrame, photos: Mapping[str, str], queries: Mapping[str, str]) -> pd.DataFrame:
    """The rows with image_id and query_id as sorted categories: the same in all files, and a tenth of the memory."""
    return rows.assign(
        image_id=pd.Categorical(rows["image_id"], categories=sorted(photos)),
        query_id=pd.Categorical(rows["query_id"], categories=sorted(queries)),
    )


def check_cells(
    file: str, cells: "pd.Series[str]", scale: tuple[float, float]
) -> tuple["pd.Series[float]", pd.DataFrame]:
    """Cells as numbers, nan where blank or bad, and the quarantine of the bad ones."""
    numbers = pd.to_numeric(cells.where(cells != ""), errors="coerce").astype(np.float64)
    no_number = (cells != "") & ~np.isfinite(numbers)
    out_of_scale = ~no_number & ((numbers < scale[0]) | (numbers > scale[1]))
    column = str(cells.name)
    aside = (
        quarantined(file, column, cells[no_number], "rating_not_a_number"),
        quarantined(file, column, cells[out_of_scale], "rating_out_of_scale"),
    )
    return numbers.mask(no_number | out_of_scale), pd.concat([no_quarantine(), *aside])


def rating_rows(
    rows: pd.DataFrame,
    numbers: "pd.Series[float]",
    scale: tuple[float, float],
    *,
    source: str,
    rater: "pd.Series[str] | str | None",
    votes: "pd.Series[int] | int",
) -> pd.DataFrame:
    """Columns of the table RATINGS, one row per number; ids, source and a single rater as categories."""
    known = numbers.notna()
    rows = rows.loc[known, ["image_id", "query_id"]]
    return rows.assign(
        source=_constant(source, SOURCES, len(rows)),
        rater=rater[known] if isinstance(rater, pd.Series) else rater and _constant(rater, [rater], len(rows)),
        rating=numbers[known],
        votes=votes[known] if isinstance(votes, pd.Series) else votes,
        scale_min=scale[0],
        scale_max=scale[1],
    )


def _constant(value: str, categories: list[str], n: int) -> pd.Categorical:
    """The value n times, one byte each."""
    dtype = pd.CategoricalDtype(categories)
    return pd.Categorical.from_codes(np.full(n, categories.index(value), np.int8), dtype=dtype)
