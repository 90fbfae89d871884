"""Tests for vote cells: words in several languages, fractions, percentages, lists and blank words."""

import numpy as np
import pandas as pd
import pytest

from kadr.ingest.number_cells import find_decimal_separator
from kadr.ingest.vote_cells import VoteCells, parse_vote_cells


def parse(*cells: str) -> VoteCells:
    column = pd.Series(cells, dtype="str")
    return parse_vote_cells(column, find_decimal_separator([column]))


@pytest.mark.parametrize(
    ("positive", "negative"),
    [
        ("yes", "no"), ("Y", "N"), ("TRUE", "False"), ("да", "Нет"), ("ja", "nein"), ("oui", "non"), ("Sí", "no"),
        ("+", "-"), ("✓", "✗"),
    ],
)  # fmt: skip
def test_words_are_votes(positive: str, negative: str) -> None:
    parsed = parse(positive, negative)
    assert parsed.shares.tolist() == [1.0, 0.0]
    assert parsed.votes.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("cell", "share", "votes"),
    [("2/3", 2 / 3, 3), ("2 of 3", 2 / 3, 3), ("0 / 5", 0.0, 5), ("2 из 4", 0.5, 4), ("67 %", 0.67, 1),
     ("33,3%", 0.333, 1), ("[1, 0, 1]", 2 / 3, 3), ("[1 1.0 0. 0]", 0.5, 4), ("100%", 1.0, 1)],
)  # fmt: skip
def test_fractions_percentages_and_lists_are_shares(cell: str, share: float, votes: int) -> None:
    parsed = parse(cell)
    assert parsed.shares.tolist() == pytest.approx([share])
    assert parsed.votes.tolist() == [votes]
    assert parsed.rules.tolist() == [""]


@pytest.mark.parametrize(
    "cell", ["", "N/A", "-", "—", "#N/A", "NULL", "none", "?", "Unsure", "Don’t know", "не знаю", "0/0", "[]"]
)
def test_blank_and_unsure_cells_are_no_votes(cell: str) -> None:
    parsed = parse(cell)
    assert np.isnan(parsed.shares[0])
    assert np.isnan(parsed.numbers[0])
    assert (parsed.votes[0], parsed.rules[0]) == (0, "")


@pytest.mark.parametrize(
    ("cell", "rule"),
    [("maybe", "votes_invalid"), ("4/3", "votes_invalid"), ("[1, 2]", "votes_invalid"),
     ("120 %", "votes_invalid"), ("2.Mar", "votes_invalid"), ("1,234", "number_ambiguous")],
)  # fmt: skip
def test_other_cells_break_a_rule(cell: str, rule: str) -> None:
    assert parse(cell).rules.tolist() == [rule]


def test_plain_numbers_stay_numbers() -> None:
    parsed = parse("0,33", "1", "0.5")
    assert parsed.numbers.tolist() == [0.33, 1.0, 0.5]
    assert parsed.shares.isna().all()
