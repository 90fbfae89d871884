"""Parse crowd ratings: shares of positive votes, lists of votes, vote counts, or single votes."""

import numpy as np
import pandas as pd

from kadr.ingest.quarantine import empty_quarantine, quarantine_cells
from kadr.ingest.rating_scale import CROWD_SCALE, ParsedRatings, parse_numbers
from kadr.ingest.raw_input import RawRatings

_VOTE_LIST = r"\[\s*(?:[01](?:[\s,]+[01])*)?\s*\]"
_VOTE_WORDS = {"yes": "1", "no": "0", "true": "1", "false": "0"}
_MAX_VOTES = 2**31 - 1
_MAX_SHARE_ERROR = 0.05
"""Maximum difference between the share that a row states and the share computed from its vote counts."""

Shares = tuple["pd.Series[float]", "pd.Series[int]", pd.DataFrame]
"""Share of positive votes in each row, number of votes in each row, and invalid cells as a QUARANTINE table."""


def parse_crowd_columns(raw: RawRatings, rows: pd.DataFrame) -> list[ParsedRatings]:
    """Parse the crowd columns of a ratings file.

    Args:
        raw: content of the ratings file. The file can have a column of shares or vote lists, two columns of vote
            counts, or all three columns.
        rows: rows of the file whose image and text are valid.

    Returns:
        A list that contains the parsed ratings, or an empty list if the file has no crowd columns. If the file has no
        vote counts, each share counts as a single vote.
    """
    if raw.crowd_column is not None:
        counts = rows[list(raw.vote_columns)] if raw.vote_columns is not None else None
        values, votes, quarantine = _parse_shares(raw.file, rows[raw.crowd_column], counts)
    elif raw.vote_columns is not None:
        values, votes, quarantine = _parse_counts(raw.file, rows[list(raw.vote_columns)])
    else:
        return []
    return [ParsedRatings(CROWD_SCALE, values, votes, raters=None, quarantine=quarantine)]


def parse_crowd_votes(file: str, rows: pd.DataFrame) -> ParsedRatings:
    """Parse the crowd votes in a long table. Each vote is yes, no, true, false, 1 or 0.

    Args:
        file: name of the ratings file.
        rows: table with the columns rater and rating, as text. The index `row` contains the row numbers in the file.
    """
    cells = rows["rating"]
    values, invalid = parse_numbers(file, cells.str.lower().replace(_VOTE_WORDS), CROWD_SCALE)
    fractions = values.notna() & ~values.isin([0.0, 1.0])
    quarantine = pd.concat([invalid, quarantine_cells(file, "rating", cells[fractions], "vote_not_yes_or_no")])
    raters = rows["rater"].where(rows["rater"] != "")
    return ParsedRatings(CROWD_SCALE, values.mask(fractions), votes=1, raters=raters, quarantine=quarantine)


def _parse_shares(file: str, cells: "pd.Series[str]", counts: pd.DataFrame | None) -> Shares:
    """Parse a column of shares or vote lists. If `counts` is not None, the vote counts must match the shares."""
    is_list = cells.str.startswith("[")
    shares, invalid = parse_numbers(file, cells.mask(is_list, ""), CROWD_SCALE)
    votes, invalid_votes = pd.Series(1, index=cells.index), empty_quarantine()
    if counts is not None:
        votes, invalid_votes = _check_counts(file, counts, shares)
    shares = shares.where(votes > 0)
    if not is_list.any():
        return shares, votes, pd.concat([invalid, invalid_votes])
    list_shares, list_votes, invalid_lists = _parse_lists(file, cells[is_list])
    return (
        shares.where(~is_list, list_shares.reindex(cells.index)),
        votes.where(~is_list, list_votes.reindex(cells.index, fill_value=0)),
        pd.concat([invalid, invalid_votes, invalid_lists]),
    )


def _parse_lists(file: str, cells: "pd.Series[str]") -> Shares:
    """Parse vote lists such as `[1, 0, 1]`. The share of an empty or invalid list is nan."""
    integers = cells.str.replace(r"\.0*(?!\d)", "", regex=True)
    valid = integers.str.fullmatch(_VOTE_LIST)
    positive = integers.str.count("1").where(valid, 0)
    votes = (positive + integers.str.count("0")).where(valid, 0).astype(np.int64)
    shares = (positive / votes.where(votes > 0)).astype(np.float64)
    return shares, votes, quarantine_cells(file, str(cells.name), cells[~valid], "votes_invalid")


def _parse_counts(file: str, cells: pd.DataFrame) -> Shares:
    """Parse two columns of vote counts. If a row has no votes or invalid counts, its share is nan."""
    counts = cells.where(cells != "", "0").apply(pd.to_numeric, errors="coerce").astype(np.float64)
    votes = counts.sum(axis=1, skipna=False)
    valid = ((counts >= 0) & (counts % 1 == 0)).all(axis=1) & (votes <= _MAX_VOTES)
    shares = (counts.iloc[:, 0] / votes.where(votes > 0)).where(valid)
    invalid = quarantine_cells(file, " and ".join(cells.columns), _join_cells(cells)[~valid], "votes_invalid")
    return shares, votes.where(valid, 0).astype(np.int64), invalid


def _check_counts(file: str, cells: pd.DataFrame, shares: "pd.Series[float]") -> tuple["pd.Series[int]", pd.DataFrame]:
    """Return the number of votes in each row, and the rejected cells.

    The number of votes is 0 if the vote counts are invalid or do not match the share.
    """
    counts = cells.apply(pd.to_numeric, errors="coerce").astype(np.float64)
    votes = counts.sum(axis=1, skipna=False)
    valid = ((counts >= 0) & (counts % 1 == 0)).all(axis=1) & votes.between(1, _MAX_VOTES)
    consistent = (counts.iloc[:, 0] / votes.where(valid) - shares).abs() <= _MAX_SHARE_ERROR
    columns, joined = " and ".join(cells.columns), _join_cells(cells)
    contradicting = shares.notna() & valid & ~consistent
    invalid = (
        quarantine_cells(file, columns, joined[shares.notna() & ~valid], "votes_invalid"),
        quarantine_cells(file, columns, joined[contradicting], "share_contradicts_votes"),
    )
    return votes.where(valid & consistent, 0).astype(np.int64), pd.concat([empty_quarantine(), *invalid])


def _join_cells(cells: pd.DataFrame) -> "pd.Series[str]":
    """Join the two vote counts of each row into one string, which is stored in the quarantine."""
    return cells.iloc[:, 0] + " and " + cells.iloc[:, 1]
