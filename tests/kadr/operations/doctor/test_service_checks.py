"""Tests of the checks of the MLflow store and the Prefect server."""

import shutil
import sqlite3
from pathlib import Path

import pytest

from kadr.operations.doctor.service_checks import check_mlflow, check_prefect


def test_each_state_of_the_mlflow_store_is_explained(
    tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{path}")
    monkeypatch.setattr("kadr.operations.doctor.service_checks.TIMEOUT_S", 0.1)
    assert [finding.state for finding in check_mlflow()] == ["ok"]
    assert not path.exists()

    shutil.copy(empty_store, path)
    assert [finding.state for finding in check_mlflow()] == ["ok"]

    other = sqlite3.connect(path)
    other.execute("BEGIN IMMEDIATE")
    (finding,) = check_mlflow()
    other.close()
    assert "another process has locked the store" in finding.message

    path.write_text("this text is not a database, and it is long enough for a page " * 20)
    (finding,) = check_mlflow()
    assert "not an SQLite database" in finding.message


def test_a_prefect_server_that_does_not_answer_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    assert [finding.state for finding in check_prefect()] == ["ok"]
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    assert [finding.state for finding in check_prefect()] == ["problem"]
