"""Tests for source scales: the setting, the detected scale of each source, and error messages with the fix."""

import logging

import pandas as pd
import pytest

from kadr.errors import InputError
from kadr.ingest.raw_input import RawLongRatings, RawRatings
from kadr.ingest.source_scales import choose_scales
from kadr.params import SourceScales

AUTO = SourceScales()


def rated(file: str, *ratings: str) -> RawRatings:
    rows = pd.DataFrame({"image_id": "a.jpg", "query_id": "t1", "rate_1": pd.Series(ratings, dtype="str")})
    return RawRatings(file, rows, {}, expert_columns=("rate_1",))


def shares(*cells: str) -> RawRatings:
    rows = pd.DataFrame({"image_id": "a.jpg", "query_id": "t1", "crowd_rates": pd.Series(cells, dtype="str")})
    return RawRatings("t.csv", rows, {}, crowd_column="crowd_rates")


def test_the_scale_is_detected_over_all_files_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        chosen = choose_scales([rated("a.csv", "1", "2,0", "3"), rated("b.csv", "4", "5", "N/A")], AUTO)
    assert chosen["expert"].to_metrics() == {
        "minimum": 1.0,
        "maximum": 5.0,
        "chosen_by": "auto",
        "reason": "every whole step from 1 to 5 is used",
    }
    assert "The scale of the expert ratings is 1 to 5: every whole step from 1 to 5 is used." in caplog.text
    assert chosen["crowd"].chosen_by == "default"


def test_an_uncertain_scale_is_an_error_with_the_setting_and_likely_values() -> None:
    with pytest.raises(InputError) as error:
        choose_scales([rated("a.csv", "1", "2", "3", "3", "0")], AUTO)
    message = str(error.value)
    assert "a.csv: the scale of the expert ratings is uncertain" in message
    assert "0 (n=1), 1 (n=1), 2 (n=1), 3 (n=2)" in message
    assert "Set ingest.rating_scale in params.yaml" in message
    assert "[0, 3]" in message
    assert "If 0 means that a pair was not rated, clear these cells" in message


def test_the_setting_decides_and_an_unused_end_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    chosen = choose_scales([rated("a.csv", "1", "2", "3")], SourceScales(expert=(0, 10)))
    assert (chosen["expert"].scale.minimum, chosen["expert"].scale.maximum) == (0, 10)
    assert "No expert rating is above 3, but the scale in ingest.rating_scale is 0 to 10" in caplog.text


def test_files_with_different_scales_are_an_error() -> None:
    files = [rated("a.csv", *"12345" * 20), rated("b.csv", *map(str, range(101)))]
    with pytest.raises(InputError, match=r"a\.csv: the ratings use the scale 1 to 5, but all expert ratings"):
        choose_scales(files, AUTO)


def test_percentages_without_a_percent_sign_are_an_error_with_the_setting() -> None:
    cells = ("0", "33", "67", "100", "1")
    with pytest.raises(InputError, match=r"outside of the scale 0 to 1.*\{crowd: \[0, 100\]\}"):
        choose_scales([shares(*cells)], AUTO)
    assert choose_scales([shares(*cells)], SourceScales(crowd=(0, 100)))["crowd"].scale.maximum == 100
    assert choose_scales([shares("33 %", "2/3", "yes", "0.5")], AUTO)["crowd"].scale.maximum == 1


def test_rows_with_their_own_scale_are_ignored() -> None:
    rows = pd.DataFrame({"source": "expert", "rating": ["1", "4"], "scale_min": "1", "scale_max": "4"}, dtype="str")
    chosen = choose_scales([RawLongRatings("ratings_long.csv", rows, {})], AUTO)
    assert chosen["expert"].to_metrics() == {
        "minimum": 1.0,
        "maximum": 4.0,
        "chosen_by": "rows",
        "reason": "each row states its own scale, 1 to 4",
    }
    assert chosen["crowd"].chosen_by == "default"
    mixed = rows.assign(scale_max=["4", "5"])
    chosen = choose_scales([RawLongRatings("r.csv", mixed, {})], AUTO)
    assert chosen["expert"].reason == "each row states its own scale, 1 to 4, 1 to 5"
