"""Tests for scale detection: the scales that ratings determine, and the ratings that leave the scale uncertain."""

import numpy as np
import pandas as pd
import pytest

from kadr.ingest.scale_detection import detect_scale, find_contradiction, suggest_scales


def counts(**values: int) -> "pd.Series[int]":
    """Return counts by value. The names of the arguments are values such as v1, v2_5 or m3 for -3."""
    numbers = {float(name[1:].replace("_", ".")) * (-1 if name[0] == "m" else 1): n for name, n in values.items()}
    return pd.Series(numbers).sort_index()


def uniform(low: int, high: int, n: int = 50) -> "pd.Series[int]":
    return pd.Series(dict.fromkeys(np.arange(low, high + 1.0), n))


@pytest.mark.parametrize("scale", [(1, 4), (1, 5), (0, 5), (1, 7), (-2, 2), (-3, 3), (0, 10), (1, 10), (0, 100)])
def test_a_scale_that_is_used_in_every_step_is_detected(scale: tuple[int, int]) -> None:
    detected = detect_scale(uniform(*scale))
    assert detected is not None
    assert detected[0] == scale


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        (counts(v1=5, v1_5=3, v2=3, v3=4, v4=4, v4_5=3, v5=1), (1, 5)),
        (counts(v0=30, v0_5=10, v1=20), (0, 1)),
        (counts(v0=30, v25=4, v50=5, v75=3, v100=9), (0, 100)),
        (counts(v1=100, v2=90, v3=50, v4=60, v7=1), (1, 4)),
        (counts(v1=100, v2=90, v3=50, v4=60, v5=1), (1, 4)),
    ],
)
def test_half_steps_and_single_typing_errors_do_not_prevent_detection(
    values: "pd.Series[int]", scale: tuple[int, int]
) -> None:
    detected = detect_scale(values)
    assert detected is not None
    assert detected[0] == scale


@pytest.mark.parametrize(
    ("values", "suggested"),
    [
        (counts(v0=2, v1=115, v2=34, v3=41), (0, 3)),  # a rare 0, or a top step that nobody used
        (counts(v1=50, v2=60, v3=70), (1, 3)),
        (counts(v1=80, v4=80), (1, 4)),
        (counts(v0=80, v1=80), (0, 1)),
        (counts(v1=100, v2=90, v3=50, v4=60, v5=3), (1, 5)),
        (counts(v0=3, v1=100, v2=90, v3=50, v4=60), (0, 4)),
        (counts(v1=100, v2=90, v3=50, v4=60, v99=15), (0, 100)),
        (counts(v1=4, v2=5, v3=5, v4=4, v5=9, v95=1), (0, 100)),
        (uniform(0, 4), (0, 4)),
        (uniform(1, 60, 5), (0, 100)),
        (counts(v0_1=50, v0_2=40, v0_5=20), (0, 1)),
    ],
)
def test_an_uncertain_scale_is_not_detected(values: "pd.Series[int]", suggested: tuple[int, int]) -> None:
    assert detect_scale(values) is None
    assert suggested in suggest_scales(values)


def test_a_file_with_another_scale_is_a_contradiction() -> None:
    assert find_contradiction((1, 5), {"a.csv": uniform(1, 5), "b.csv": uniform(1, 4)}, {}) == ("b.csv", (1, 4))
    assert find_contradiction((1, 5), {"a.csv": uniform(1, 5), "b.csv": uniform(1, 4, 5)}, {}) is None


def test_a_column_with_a_much_narrower_scale_is_a_contradiction() -> None:
    by_column = {"rate_1": uniform(0, 100), "rate_2": uniform(1, 5)}
    assert find_contradiction((0, 100), {}, by_column) == ("rate_2", (1, 5))
    assert find_contradiction((1, 5), {}, {"rate_1": uniform(1, 4), "rate_2": uniform(1, 5)}) is None
