"""Parse crowd ratings: shares of positive votes, lists of votes, vote counts, or single votes."""

import numpy as np
import pandas as pd

from kadr.ingest.blank_words import clear_words
from kadr.ingest.number_cells import DecimalSeparator, parse_number_cells
from kadr.ingest.quarantine import empty_quarantine, quarantine_cells
from kadr.ingest.rating_scale import ParsedRatings, RatingScale, is_out_of_scale
from kadr.ingest.raw_input import RawLongRatings, RawRatings
from kadr.ingest.vote_cells import MAX_VOTES, VoteCells, parse_vote_cells

_MAX_SHARE_ERROR = 0.05
"""Maximum difference between the share that a row states and the share computed from its vote counts."""

Shares = tuple["pd.Series[float]", "pd.Series[int]", pd.DataFrame]
"""Share of positive votes in each row, number of votes in each row, and invalid cells as a QUARANTINE table."""


def parse_crowd_columns(
    raw: RawRatings,
    rows: pd.DataFrame,
    scale: RatingScale,
    separator: DecimalSeparator,
    raters: "pd.Series[str] | None" = None,
) -> list[ParsedRatings]:
    """Parse the crowd columns of a ratings file.

    Args:
        raw: content of the ratings file. The file can have a column of shares or vote lists, two columns of vote
            counts, or all three columns.
        rows: rows of the file whose image and text are valid.
        scale: scale of plain numbers in the column of shares.
        separator: evidence about the decimal separator of the file.
        raters: rater ID of each row, nan if unknown. None if the file has no rater IDs.

    Returns:
        A list that contains the parsed ratings, or an empty list if the file has no crowd columns. If a row contains no
        number of votes, its share counts as a single vote.
    """
    if raw.crowd_column is not None:
        counts = rows[list(raw.vote_columns)] if raw.vote_columns is not None else None
        shares, votes, quarantine = _parse_shares(raw.file, rows[raw.crowd_column], counts, scale, separator)
    elif raw.vote_columns is not None:
        shares, votes, quarantine = _parse_counts(raw.file, rows[list(raw.vote_columns)], separator)
    else:
        return []
    return [ParsedRatings(scale, scale.from_share(shares), votes, raters, quarantine)]


def parse_crowd_votes(
    raw: RawLongRatings, rows: pd.DataFrame, scale: RatingScale, separator: DecimalSeparator
) -> ParsedRatings:
    """Parse the crowd votes in a long table. Each vote is a word such as yes or no, or a number on the scale.

    On the scale 0 to 1, the number must be 0 or 1.

    Args:
        raw: content of the ratings file.
        rows: votes whose image and text are valid, with the columns rater and rating.
        scale: scale of the numbers.
        separator: evidence about the decimal separator of the file.
    """
    cells = raw.rating_cells(rows)
    parsed = parse_vote_cells(cells, separator)
    values, invalid = _check_numbers(raw.file, cells, parsed, scale)
    invalid["rule"] = invalid["rule"].replace("votes_invalid", "vote_not_yes_or_no")
    values = values.fillna(scale.from_share(parsed.shares))
    is_vote_scale = (scale.minimum == 0) & (scale.maximum == 1)
    fractions = values.notna() & (values != scale.minimum) & (values != scale.maximum) & is_vote_scale
    fractions |= (parsed.votes > 1) | (parsed.shares.notna() & ~parsed.shares.isin([0.0, 1.0]))
    quarantine = pd.concat(
        [invalid, quarantine_cells(raw.file, str(cells.name), cells[fractions], "vote_not_yes_or_no")]
    )
    raters = rows["rater"].where(rows["rater"] != "")
    return ParsedRatings(scale, values.mask(fractions), votes=1, raters=raters, quarantine=quarantine)


def _parse_shares(
    file: str,
    cells: "pd.Series[str]",
    counts: pd.DataFrame | None,
    scale: RatingScale,
    separator: DecimalSeparator,
) -> Shares:
    """Parse a column of shares or vote lists. If `counts` is not None, the vote counts must match the shares."""
    parsed = parse_vote_cells(cells, separator)
    numbers, invalid = _check_numbers(file, cells, parsed, scale)
    shares = scale.to_share(numbers).fillna(parsed.shares)
    votes, invalid_votes = parsed.votes, empty_quarantine()
    if counts is not None:
        has_votes = parsed.votes > 1
        counted, invalid_votes = _check_counts(file, counts, shares.mask(has_votes), separator)
        votes = counted.where(~has_votes, parsed.votes)
    return shares.where(votes > 0), votes, pd.concat([invalid, invalid_votes])


def _check_numbers(
    file: str, cells: "pd.Series[str]", parsed: VoteCells, scale: RatingScale
) -> tuple["pd.Series[float]", pd.DataFrame]:
    """Return the plain numbers on the scale, and the invalid cells as rows of the QUARANTINE table."""
    out_of_scale = is_out_of_scale(parsed.numbers, scale)
    rules = parsed.rules.mask(out_of_scale, "rating_out_of_scale")
    column = str(cells.name)
    invalid = [quarantine_cells(file, column, cells[rules == rule], rule) for rule in sorted({*rules.unique()} - {""})]
    return parsed.numbers.mask(out_of_scale), pd.concat([empty_quarantine(), *invalid])


def _parse_counts(file: str, cells: pd.DataFrame, separator: DecimalSeparator) -> Shares:
    """Parse two columns of vote counts. If a row has no votes or invalid counts, its share is nan."""
    cells = pd.DataFrame({name: clear_words(column) for name, column in cells.items()})
    counts = _parse_numbers(cells.where(cells != "", "0"), separator)
    votes = counts.sum(axis=1, skipna=False)
    valid = ((counts >= 0) & (counts % 1 == 0)).all(axis=1) & (votes <= MAX_VOTES)
    shares = (counts.iloc[:, 0] / votes.where(votes > 0)).where(valid)
    invalid = quarantine_cells(file, " and ".join(cells.columns), _join_cells(cells)[~valid], "votes_invalid")
    return shares, votes.where(valid, 0).astype(np.int64), invalid


def _check_counts(
    file: str, cells: pd.DataFrame, shares: "pd.Series[float]", separator: DecimalSeparator
) -> tuple["pd.Series[int]", pd.DataFrame]:
    """Return the number of votes in each row, and the rejected cells.

    The number of votes is 0 if the vote counts are invalid or do not match the share.
    """
    counts = _parse_numbers(cells, separator)
    votes = counts.sum(axis=1, skipna=False)
    valid = ((counts >= 0) & (counts % 1 == 0)).all(axis=1) & votes.between(1, MAX_VOTES)
    consistent = (counts.iloc[:, 0] / votes.where(valid) - shares).abs() <= _MAX_SHARE_ERROR
    columns, joined = " and ".join(cells.columns), _join_cells(cells)
    contradicting = shares.notna() & valid & ~consistent
    invalid = (
        quarantine_cells(file, columns, joined[shares.notna() & ~valid], "votes_invalid"),
        quarantine_cells(file, columns, joined[contradicting], "share_contradicts_votes"),
    )
    return votes.where(valid & consistent, 0).astype(np.int64), pd.concat([empty_quarantine(), *invalid])


def _parse_numbers(cells: pd.DataFrame, separator: DecimalSeparator) -> pd.DataFrame:
    """Return the numbers in several columns. nan if a cell contains no number."""
    return pd.DataFrame({name: parse_number_cells(column, separator)[0] for name, column in cells.items()})


def _join_cells(cells: pd.DataFrame) -> "pd.Series[str]":
    """Join the two vote counts of each row into one string, which is stored in the quarantine."""
    return cells.iloc[:, 0] + " and " + cells.iloc[:, 1]
