"""The ingest part's ratings: every cell checked, the good ones in the long form of the table RATINGS.

A row is set aside whole where its photo or text cannot be used, where it repeats an earlier row in every cell, or where
nobody rated. A bad rating cell sets aside that cell alone: the row's other ratings are by other raters and stay. A pair
that stands in several rows with different ratings was rated more than once; all of them stay.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from kadr.ingest.quarantine import Rule, no_quarantine, photo_rules, quarantined, sift
from kadr.ingest.raters import are_persons
from kadr.ingest.raw import RawRatings

EXPERT_SCALE = (1.0, 4.0)
CROWD_SCALE = (0.0, 1.0)
_ROUNDING = 0.05  # how far a share may be from its own votes
_MAX_VOTES = 2**31 - 1


@dataclass(frozen=True)
class CheckedRatings:
    """What one file of ratings holds.

    Attributes:
        ratings: columns of the table RATINGS, in the order of columns and rows.
        quarantine: what was set aside.
        n_rows: all rows of the file.
        persons: whether the expert columns can be persons; None where there are none.
    """

    ratings: pd.DataFrame
    quarantine: pd.DataFrame
    n_rows: int
    persons: bool | None


def check_ratings(raw: RawRatings, photos: Mapping[str, str], queries: Mapping[str, str]) -> CheckedRatings:
    """Check one file of ratings.

    Args:
        raw: the file.
        photos: image_id -> status, see `photo_rules`.
        queries: query_id -> split of the texts that are known. By a test query no model may learn.
    """
    columns = [*raw.experts, *([raw.crowd] if raw.crowd else [])]
    rules = (
        *photo_rules(photos),
        Rule("text_empty", "query_id", lambda rows: rows["query_id"] == ""),
        Rule("query_text_unknown", "query_id", lambda rows: ~rows["query_id"].isin(queries.keys())),
        Rule("query_in_test", "query_id", lambda rows: rows["query_id"].map(queries) == "test"),
        Rule("duplicate_row", "image_id", lambda rows: rows.duplicated()),
        Rule("no_rating", "image_id", lambda rows: (rows[columns] == "").all(axis=1)),
    )
    rows, aside = sift(raw.file, raw.rows, raw.names, rules)
    experts, persons, expert_aside = _check_experts(raw, rows)
    crowd, crowd_aside = _check_crowd(raw, rows)
    return CheckedRatings(
        ratings=pd.concat([*experts, *crowd], ignore_index=True),
        quarantine=pd.concat([aside, *expert_aside, *crowd_aside]),
        n_rows=len(raw.rows),
        persons=persons,
    )


def _check_experts(raw: RawRatings, rows: pd.DataFrame) -> tuple[list[pd.DataFrame], bool | None, list[pd.DataFrame]]:
    """The experts' ratings per column, whether the columns are persons, and the quarantine."""
    checked = [_check_cells(raw.file, rows[column], EXPERT_SCALE) for column in raw.experts]
    if not checked:
        return [], None, []
    persons = are_persons(np.column_stack([numbers for numbers, _ in checked]))
    ratings = [
        _long(rows, numbers, EXPERT_SCALE, source="expert", rater=column if persons else None, votes=1)
        for column, (numbers, _) in zip(raw.experts, checked, strict=True)
    ]
    return ratings, persons, [aside for _, aside in checked]


def _check_crowd(raw: RawRatings, rows: pd.DataFrame) -> tuple[list[pd.DataFrame], list[pd.DataFrame]]:
    """The crowd's ratings and the quarantine. A share without votes counts as one person's."""
    if raw.crowd is None:
        return [], []
    numbers, aside = _check_cells(raw.file, rows[raw.crowd], CROWD_SCALE)
    votes, votes_aside = pd.Series(1, index=rows.index), no_quarantine()
    if raw.votes is not None:
        votes, votes_aside = _check_votes(raw.file, rows[list(raw.votes)], numbers)
    ratings = _long(rows, numbers.where(votes > 0), CROWD_SCALE, source="crowd", rater=None, votes=votes)
    return [ratings], [aside, votes_aside]


def _check_cells(
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


def _check_votes(file: str, counts: pd.DataFrame, shares: "pd.Series[float]") -> tuple["pd.Series[int]", pd.DataFrame]:
    """How many voted for each share, 0 where the counts are bad or contradict it, and the quarantine of those."""
    numbers = counts.apply(pd.to_numeric, errors="coerce").astype(np.float64)
    votes = numbers.sum(axis=1, skipna=False)
    whole = ((numbers >= 0) & (numbers % 1 == 0)).all(axis=1) & votes.between(1, _MAX_VOTES)
    fits = (numbers.iloc[:, 0] / votes.where(whole) - shares).abs() <= _ROUNDING
    shown = counts.agg(" and ".join, axis=1) if len(counts) else pd.Series(dtype="str")
    invalid, contradicting = shares.notna() & ~whole, shares.notna() & whole & ~fits
    aside = (
        quarantined(file, " and ".join(counts.columns), shown[invalid], "votes_invalid"),
        quarantined(file, " and ".join(counts.columns), shown[contradicting], "share_contradicts_votes"),
    )
    return votes.where(whole & fits, 0).astype(np.int64), pd.concat([no_quarantine(), *aside])


def _long(
    rows: pd.DataFrame,
    numbers: "pd.Series[float]",
    scale: tuple[float, float],
    *,
    source: str,
    rater: str | None,
    votes: "pd.Series[int] | int",
) -> pd.DataFrame:
    """Columns of the table RATINGS, one row per number."""
    columns = rows[["image_id", "query_id"]].assign(source=source, rater=rater, rating=numbers, votes=votes)
    return columns.assign(scale_min=scale[0], scale_max=scale[1])[numbers.notna()]
