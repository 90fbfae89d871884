"""Tests for number cells: decimal points, decimal commas, thousands separators, and cells that are no numbers."""

import pandas as pd
import pytest

from kadr.ingest.number_cells import find_decimal_separator, parse_number_cells


def parse(*cells: str) -> list[float | str | None]:
    column = pd.Series(cells, dtype="str")
    numbers, ambiguous = parse_number_cells(column, find_decimal_separator([column]))
    return ["ambiguous" if is_ambiguous else number for number, is_ambiguous in zip(numbers, ambiguous, strict=True)]


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        ("4", 4.0), ("4.0", 4.0), ("4,5", 4.5), (",5", 0.5), (".5", 0.5), ("0,333", 0.333),
        ("４", 4.0), ("４，５", 4.5),
        ("−3", -3.0), ("+2", 2.0), ("1e1", 10.0), ("1,234.5", 1234.5), ("1.234,5", 1234.5), ("1,234,567", 1234567.0),
    ],
)  # fmt: skip
def test_a_number_is_read_with_point_or_comma(cell: str, number: float) -> None:
    assert parse(cell) == [number]


@pytest.mark.parametrize("cell", ["4 stars", "1_0", "inf", "1 234", "4/5", "0x4", "1.2.3", "2-Mar", "%"])
def test_a_cell_without_a_number_is_nan(cell: str) -> None:
    assert pd.isna(parse(cell)[0])


def test_a_comma_before_three_digits_needs_evidence() -> None:
    assert parse("1,234") == ["ambiguous"]
    assert parse("3,667", "0,5") == [3.667, 0.5]
    assert parse("3,667", "1,234.5") == [3667.0, 1234.5]
    assert parse("3,667", "0,5", "1,234.5") == ["ambiguous", 0.5, 1234.5]


def test_a_point_before_three_digits_is_ambiguous_beside_decimal_commas() -> None:
    assert parse("1.234", "2.5") == [1.234, 2.5]
    assert parse("1.234", "2,5") == ["ambiguous", 2.5]
