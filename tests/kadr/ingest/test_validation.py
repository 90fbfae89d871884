"""Great Expectations: the suites by hand, what stops, what is counted, and that nothing is written."""

import json
from pathlib import Path

import pandas as pd
import pytest

from kadr.errors import InputError
from kadr.ingest.validation import SUITE_OF, validate


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


def test_suites_are_kept_by_hand_in_a_stable_order(suites: Path) -> None:
    assert {path.stem for path in suites.iterdir()} == set(SUITE_OF.values())
    for path in suites.glob("*.json"):
        suite = json.loads(path.read_text())
        assert path.read_text() == json.dumps(suite, indent=2, sort_keys=True) + "\n"
        assert suite["name"] == path.stem
        ids = [expectation["id"] for expectation in suite["expectations"]]
        assert len(set(ids)) == len(ids)
        assert all(expectation["description"] for expectation in suite["expectations"])


@pytest.mark.slow
def test_a_sane_table_passes_and_an_empty_one_is_skipped(
    suites: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert validate({"queries": queries(), "captions": pd.DataFrame()}, suites).warnings == []
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_a_warning_is_a_sentence(suites: Path) -> None:
    (warning,) = validate({"queries": queries(text=["7", "A cat."], query_id=["1", "b"])}, suites).warnings[:1]
    assert warning.startswith("queries: texts have")
    assert "1 of 2 are not, such as '7'" in warning


@pytest.mark.slow
def test_data_docs_show_every_table_and_are_the_same_twice(suites: Path) -> None:
    tables = {"queries": queries(text=["7", "Кот"]), "captions": pd.DataFrame()}
    one, two = (validate(tables, suites).pages for _ in range(2))
    assert one == two
    assert list(one) == ["queries"]
    assert "texts have a letter" in one["queries"]
    assert one["queries"].count("50% of 2 total rows") == 2  # it has no letter, and is short


@pytest.mark.slow
def test_a_critical_failure_stops_and_names_the_values(suites: Path) -> None:
    with pytest.raises(InputError, match=r"queries: a text's id stands once .*: 2 of 2 are not, such as 'a', 'a'"):
        validate({"queries": queries(query_id=["a", "a"])}, suites)


@pytest.mark.slow
def test_a_damaged_or_missing_suite_is_explained(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"queries\.json: no such suite"):
        validate({"queries": queries()}, tmp_path)
    (tmp_path / "queries.json").write_text("{")
    with pytest.raises(InputError, match=r"queries\.json: not a suite"):
        validate({"queries": queries()}, tmp_path)
    (tmp_path / "queries.json").write_text(
        '{"name": "queries", "expectations": [{"type": "expect_wonders", "kwargs": {}}]}'
    )
    with pytest.raises(InputError, match=r"queries\.json: not a suite .*unknown: expect_wonders"):
        validate({"queries": queries()}, tmp_path)
