"""Tests for validation with Great Expectations: critical failures, warnings, data docs and damaged suites."""

import json
from pathlib import Path

import pandas as pd
import pytest

from kadr.errors import InputError
from kadr.ingest.validation import SUITES, validate


@pytest.fixture
def suites(project: Path) -> Path:
    return project / "expectations"


def queries(**changes: list[str]) -> pd.DataFrame:
    columns = {
        "query_id": ["a", "b"],
        "text": ["A dog.", "A cat."],
        "image_id": [None, "p.jpg"],
        "split": ["train", "test"],
    }
    return pd.DataFrame(columns | changes)


def test_suites_are_sorted_json_with_descriptions(suites: Path) -> None:
    assert {path.stem for path in suites.iterdir()} == set(SUITES.values())
    for path in suites.glob("*.json"):
        suite = json.loads(path.read_text())
        assert path.read_text() == json.dumps(suite, indent=2, sort_keys=True) + "\n"
        assert suite["name"] == path.stem
        ids = [expectation["id"] for expectation in suite["expectations"]]
        assert len(set(ids)) == len(ids)
        assert all(expectation["description"] for expectation in suite["expectations"])


@pytest.mark.slow
def test_a_valid_table_passes_and_an_empty_one_is_skipped(
    suites: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert validate({"queries": queries(), "captions": pd.DataFrame()}, suites).warnings == []
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_a_warning_names_the_table_and_the_values(suites: Path) -> None:
    (warning,) = validate({"queries": queries(text=["7", "A cat."], query_id=["1", "b"])}, suites).warnings[:1]
    assert warning.startswith("queries: Texts contain at least one letter")
    assert "1 of 2 values fail, such as '7'" in warning


@pytest.mark.slow
def test_data_docs_are_identical_in_a_second_run(suites: Path) -> None:
    tables = {"queries": queries(text=["7", "Кот"]), "captions": pd.DataFrame()}
    first, second = (validate(tables, suites).pages for _ in range(2))
    assert first == second
    assert list(first) == ["queries"]
    assert "Texts contain at least one letter" in first["queries"]
    assert first["queries"].count("50% of 2 total rows") == 2  # the text "7" is too short and contains no letter


@pytest.mark.slow
def test_a_critical_failure_is_an_error_with_the_values(suites: Path) -> None:
    with pytest.raises(InputError, match=r"queries: Query IDs are unique .*: 2 of 2 values fail, such as 'a', 'a'"):
        validate({"queries": queries(query_id=["a", "a"])}, suites)


@pytest.mark.slow
def test_a_damaged_or_missing_suite_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"queries\.json: the expectation suite does not exist"):
        validate({"queries": queries()}, tmp_path)
    (tmp_path / "queries.json").write_text("{")
    with pytest.raises(InputError, match=r"queries\.json: the expectation suite is invalid"):
        validate({"queries": queries()}, tmp_path)
    (tmp_path / "queries.json").write_text(
        '{"name": "queries", "expectations": [{"type": "expect_wonders", "kwargs": {}}]}'
    )
    with pytest.raises(
        InputError, match=r"queries\.json: the expectation suite is invalid .*unknown types expect_wonders"
    ):
        validate({"queries": queries()}, tmp_path)
