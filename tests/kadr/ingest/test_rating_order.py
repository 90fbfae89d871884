"""Tests for rating order: the time column decides, and the log says when the order of the rows decides."""

import logging

import pandas as pd
import pytest

from kadr.ingest.rating_order import find_replaced
from kadr.ingest.rating_times import parse_times


def find(*times: str) -> tuple[list[bool], str | None]:
    rows = pd.DataFrame({"rater": "ann", "time": pd.Series(times, dtype="str")})
    replaced, order = find_replaced("t.csv", rows, ["rater"], "created_at")
    return replaced.tolist(), order


@pytest.mark.parametrize(
    ("late", "early"),
    [
        ("2024-03-02T10:59:00Z", "2024-03-02T10:58:59Z"),
        ("2024-03-02T10:59:00-08:00", "2024-03-02T11:59:00Z"),
        ("2024-03-02 10:59", "2024-03-02"),
        ("1709377140", "1709377139"),
        ("1709377140123", "1709377140122"),
        ("Sat Mar 02 10:59:00 PST 2024", "Sat Mar 02 11:59:00 UTC 2024"),
        ("3.4.2024 9:00", "31.03.2024 10:00"),
        ("13/02/2024", "05/02/2024"),
        ("2/13/2024", "2/05/2024"),
        ("01/02/2024 11:00", "01/02/2024 10:00"),
        ("Mar 2, 2024 1:00 PM", "Mar 2, 2024 11:00 AM"),
    ],
)
def test_the_later_time_replaces_the_earlier_one(late: str, early: str) -> None:
    assert find(late, early) == ([False, True], "time")
    assert find(early, late) == ([True, False], "time")


@pytest.mark.parametrize("times", [("02/01/2024", "01/02/2024"), ("10:59", "10:58"), ("2024-03-02", ""), ("5", "4"),
                                   ("2024-03-02T10:00", "2024-03-02T09:00Z"), ("yesterday", "today")])  # fmt: skip
def test_times_that_cannot_be_compared_leave_the_order_of_the_rows(
    times: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    assert find(*times) == ([True, False], "rows")
    assert "the order of the rows decides about 1 of the replaced ratings" in caplog.text


def test_equal_times_are_reported(caplog: pytest.LogCaptureFixture) -> None:
    assert find("2024-03-02", "2024-03-02", "2024-03-01") == ([True, False, True], "rows")
    assert "equal" in caplog.text


def test_the_log_names_the_order_of_the_rows_without_a_time_column(caplog: pytest.LogCaptureFixture) -> None:
    rows = pd.DataFrame({"rater": ["ann", "bob", "ann"]})
    with caplog.at_level(logging.INFO):
        replaced, order = find_replaced("t.csv", rows, ["rater"], "time")
        assert find_replaced("t.csv", rows.head(2), ["rater"], "time")[1] is None
    assert (replaced.tolist(), order) == ([True, False, False], "rows")
    assert caplog.text.count("so the order of the rows decides") == 1


def test_month_names_do_not_depend_on_the_current_date() -> None:
    assert pd.isna(parse_times(pd.Series(["March 2024"]), day_first=False)[0])
