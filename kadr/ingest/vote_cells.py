"""Parse cells that contain votes: words, shares, percentages, fractions, or lists of votes."""

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

from kadr.ingest.blank_words import NO_RATING_WORDS, normalise_word
from kadr.ingest.number_cells import DecimalSeparator, parse_number

YES_WORDS = frozenset(
    {
        "yes", "y", "true", "t", "+", "✓", "✔", "✅", "☑", "да", "д", "так", "ja", "j", "wahr", "oui", "vrai", "si",
        "sí", "verdadero", "sì", "vero", "sim", "tak", "ano", "evet", "はい", "是", "对",
    }
)  # fmt: skip
NO_WORDS = frozenset(
    {
        "no", "n", "false", "f", "✗", "✘", "❌", "☐", "нет", "н", "ні", "nein", "falsch", "non", "faux", "falso", "não",
        "nao", "nie", "ne", "hayır", "いいえ", "否", "不", "不对",
    }
)  # fmt: skip
"""Words for a positive and a negative vote, as `normalise_word` returns them. A minus sign is described below."""

MAX_VOTES = 2**31 - 1

_LIST = re.compile(r"\[\s*(?:[01](?:\.0*)?(?:[\s,]+[01](?:\.0*)?)*)?\s*\]")
_FRACTION = re.compile(r"(\d+)\s*(?:/|of|out of|из|von|sur|de)\s*(\d+)")
_PERCENT = re.compile(r"(.*?)\s*%")


@dataclass(frozen=True)
class Vote:
    """Content of one cell.

    Attributes:
        number: plain number in the cell, on the scale of the file. nan if the cell contains something else.
        share: share of positive votes, 0 to 1, of a word, percentage, fraction or list. nan for a plain number.
        votes: number of votes. 1 if the cell does not contain the number. 0 if the cell contains no vote.
        rule: rule that the cell breaks, or None.
    """

    number: float = np.nan
    share: float = np.nan
    votes: int = 1
    rule: str | None = None


NO_VOTE = Vote(votes=0)


@dataclass(frozen=True)
class VoteCells:
    """Content of a column. Each series has one row per cell. The attributes are those of `Vote`."""

    numbers: "pd.Series[float]"
    shares: "pd.Series[float]"
    votes: "pd.Series[int]"
    rules: "pd.Series[str]"


def parse_vote_cells(cells: "pd.Series[str]", separator: DecimalSeparator) -> VoteCells:
    """Parse a column of votes.

    A minus sign is a negative vote if another cell of the column is a plus sign. Otherwise, the cell is blank.

    Args:
        cells: cells of the column, as text.
        separator: evidence about the decimal separator of the file.
    """
    codes, distinct = pd.factorize(cells)
    minus_is_no = has_plus_sign(cells)
    parsed = [parse_vote(normalise_word(cell), separator, minus_is_no=minus_is_no) for cell in distinct]
    return VoteCells(
        numbers=pd.Series(np.array([vote.number for vote in parsed], np.float64)[codes], cells.index),
        shares=pd.Series(np.array([vote.share for vote in parsed], np.float64)[codes], cells.index),
        votes=pd.Series(np.array([vote.votes for vote in parsed], np.int64)[codes], cells.index),
        rules=pd.Series(np.array([vote.rule or "" for vote in parsed], object)[codes], cells.index, dtype=object),
    )


def has_plus_sign(cells: "pd.Series[str]") -> bool:
    """Return whether a cell of the column is a plus sign, so that a minus sign is a negative vote."""
    return bool((cells == "+").any())


def parse_vote(word: str, separator: DecimalSeparator, *, minus_is_no: bool = False) -> Vote:
    """Return the vote in a normalised cell.

    >>> parse_vote("2/3", DecimalSeparator()).votes
    3
    >>> parse_vote("да", DecimalSeparator()).share
    1.0
    """
    if vote := _parse_word(word, minus_is_no=minus_is_no):
        return vote
    if word.startswith("["):
        return _parse_list(word)
    if match := _FRACTION.fullmatch(word):
        return _divide(int(match[1]), int(match[2]))
    match = _PERCENT.fullmatch(word)
    number = parse_number(match[1] if match else word, separator)
    if number is None:
        return _invalid("number_ambiguous")
    if np.isnan(number) or (match and not 0 <= number <= 100):
        return _invalid("votes_invalid")
    return Vote(share=number / 100) if match else Vote(number=number)


def _parse_word(word: str, *, minus_is_no: bool) -> Vote | None:
    """Return the vote that a word means, or None for a cell that is not a known word."""
    if word in YES_WORDS:
        return Vote(share=1.0)
    if word in NO_WORDS or (word == "-" and minus_is_no):
        return Vote(share=0.0)
    return NO_VOTE if word in NO_RATING_WORDS else None


def _parse_list(word: str) -> Vote:
    """Return the votes in a list such as `[1, 0, 1]`. An empty list contains no vote."""
    if not _LIST.fullmatch(word):
        return _invalid("votes_invalid")
    votes = re.findall(r"[01](?:\.0*)?", word)
    return _divide(sum(vote[0] == "1" for vote in votes), len(votes)) if votes else NO_VOTE


def _divide(positive: int, votes: int) -> Vote:
    if positive == votes == 0:
        return NO_VOTE
    if votes > MAX_VOTES or positive > votes:
        return _invalid("votes_invalid")
    return Vote(share=positive / votes, votes=votes)


def _invalid(rule: str) -> Vote:
    return Vote(votes=0, rule=rule)
