"""The ingest part's crowd: a share, a list of votes, or counts of yes and no; each becomes share and votes."""

import numpy as np
import pandas as pd

from kadr.ingest.quarantine import no_quarantine, quarantined
from kadr.ingest.rating_cells import CROWD_SCALE, check_cells, rating_rows
from kadr.ingest.raw_input import RawRatings

_LIST = r"\[\s*(?:[01](?:[\s,]+[01])*)?\s*\]"
_ROUNDING = 0.05  # how far a share may be from its own votes
_MAX_VOTES = 2**31 - 1


def check_crowd(raw: RawRatings, rows: pd.DataFrame) -> tuple[list[pd.DataFrame], list[pd.DataFrame]]:
    """The crowd's ratings and the quarantine. A share without votes counts as one person's.

    Args:
        raw: the file; its crowd is a column of shares or lists, or two columns of counts, or a share with counts.
        rows: those of its rows whose photo and text are good.
    """
    if raw.crowd is None:
        return ([], []) if raw.votes is None else _check_counts(raw, rows, list(raw.votes))
    cells = rows[raw.crowd]
    listed = cells.str.startswith("[")
    numbers, aside = check_cells(raw.file, cells.mask(listed, ""), CROWD_SCALE)
    votes, votes_aside = pd.Series(1, index=rows.index), no_quarantine()
    if raw.votes is not None:
        votes, votes_aside = _check_votes(raw.file, rows[list(raw.votes)], numbers)
    ratings = rating_rows(rows, numbers.where(votes > 0), CROWD_SCALE, source="crowd", rater=None, votes=votes)
    if not listed.any():
        return [ratings], [aside, votes_aside]
    shares, sizes, lists_aside = _check_lists(raw.file, cells[listed])
    lists = rating_rows(rows[listed], shares, CROWD_SCALE, source="crowd", rater=None, votes=sizes)
    return [pd.concat([ratings, lists]).sort_index(kind="stable")], [aside, votes_aside, lists_aside]


def _check_lists(file: str, cells: "pd.Series[str]") -> tuple["pd.Series[float]", "pd.Series[int]", pd.DataFrame]:
    """Share of yes and number of votes of lists such as `[1, 0, 1]`, nan where empty or bad; and the quarantine."""
    plain = cells.str.replace(r"\.0*(?!\d)", "", regex=True)
    good = plain.str.fullmatch(_LIST)
    yes = plain.str.count("1").where(good, 0)
    sizes = (yes + plain.str.count("0")).where(good, 0).astype(np.int64)
    shares = (yes / sizes.where(sizes > 0)).astype(np.float64)
    return shares, sizes, quarantined(file, str(cells.name), cells[~good], "votes_invalid")


def _check_counts(
    raw: RawRatings, rows: pd.DataFrame, columns: list[str]
) -> tuple[list[pd.DataFrame], list[pd.DataFrame]]:
    """Ratings and quarantine of two columns of counts; both blank, or 0 and 0, is nobody's vote."""
    cells = rows[columns]
    counts = cells.where(cells != "", "0").apply(pd.to_numeric, errors="coerce").astype(np.float64)
    votes = counts.sum(axis=1, skipna=False)
    good = ((counts >= 0) & (counts % 1 == 0)).all(axis=1) & (votes <= _MAX_VOTES)
    shares = (counts[columns[0]] / votes.where(votes > 0)).where(good)
    aside = quarantined(raw.file, " and ".join(columns), _shown(cells)[~good], "votes_invalid")
    sizes = votes.where(good, 0).astype(np.int64)
    return [rating_rows(rows, shares, CROWD_SCALE, source="crowd", rater=None, votes=sizes)], [aside]


def _check_votes(file: str, counts: pd.DataFrame, shares: "pd.Series[float]") -> tuple["pd.Series[int]", pd.DataFrame]:
    """How many voted for each share, 0 where the counts are bad or contradict it, and the quarantine of those."""
    numbers = counts.apply(pd.to_numeric, errors="coerce").astype(np.float64)
    votes = numbers.sum(axis=1, skipna=False)
    whole = ((numbers >= 0) & (numbers % 1 == 0)).all(axis=1) & votes.between(1, _MAX_VOTES)
    fits = (numbers.iloc[:, 0] / votes.where(whole) - shares).abs() <= _ROUNDING
    invalid, contradicting = shares.notna() & ~whole, shares.notna() & whole & ~fits
    columns, shown = " and ".join(counts.columns), _shown(counts)
    aside = (
        quarantined(file, columns, shown[invalid], "votes_invalid"),
        quarantined(file, columns, shown[contradicting], "share_contradicts_votes"),
    )
    return votes.where(whole & fits, 0).astype(np.int64), pd.concat([no_quarantine(), *aside])


def _shown(counts: pd.DataFrame) -> "pd.Series[str]":
    """Both counts as one text."""
    return counts.iloc[:, 0] + " and " + counts.iloc[:, 1]
