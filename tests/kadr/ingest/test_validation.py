"""Tests for validation with Great Expectations: failed expectations with their rows, and damaged suites."""

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
    assert validate({"queries": queries(), "captions": pd.DataFrame()}, suites).failed("critical", "warning") == []
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_a_failed_expectation_has_the_rows_the_severity_and_the_images(suites: Path) -> None:
    images = pd.DataFrame({"image_id": ["p.jpg"], "path": ["raw/p.jpg"], "split": ["test"], "status": ["ok"]})
    images = images.assign(sha256="0" * 64, phash="0" * 16, bytes=9, width=[40.0], height=80, blur=50.0, exposure=0.5)
    tables = {"images": images, "queries": queries(text=["A dog.", "7"], query_id=["a", "a"])}
    validation, repeated = validate(tables, suites), validate(tables, suites)
    assert [result.describe() for result in validation.failed("critical")] == [
        "queries: Query IDs are unique (column='query_id'): 2 of 2 values fail, such as query_id 'a' (a); "
        "query_id 'a', image_id 'p.jpg' (a)"
    ]
    narrow, short, letterless = validation.failed("warning")
    assert narrow.failed_rows.to_dict("records") == [{"image_id": "p.jpg", "value": "40", "path": "raw/p.jpg"}]
    assert (short.description, letterless.description) == (
        "Texts have 3 to 400 characters, because encoders truncate longer texts",
        "Texts contain at least one letter",
    )
    (row,) = letterless.failed_rows.to_dict("records")
    assert row == {"query_id": "a", "image_id": "p.jpg", "value": "7", "path": "raw/p.jpg"}
    fingerprints = [{name: table.fingerprint for name, table in run.tables.items()} for run in (validation, repeated)]
    assert fingerprints[0] == fingerprints[1]


@pytest.mark.slow
def test_a_failure_without_rows_says_what_is_missing(suites: Path) -> None:
    table = queries(split=["test", "test"])
    (failed,) = validate({"queries": table}, suites).failed("critical")
    assert failed.describe().endswith("(column='split', value_set=['train']): no row has the value 'train'")
    results = validate({"queries": table.drop(columns="split")}, suites).failed("critical")
    assert {result.outcome for result in results} == {
        'not evaluated: Error: The column "split" in BatchData does not exist.'
    }


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
