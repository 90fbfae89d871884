"""The doctor on toy DVC projects, on MLflow's store and on a server that is not there."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from kadr.operations.doctor.tools import check_dvc, check_mlflow, check_prefect

pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")  # pygtrie under DVC


def dvc(*arguments: str) -> None:
    environment = {**os.environ, "DVC_NO_ANALYTICS": "1"}
    subprocess.run([sys.executable, "-m", "dvc", *arguments], env=environment, check=True, capture_output=True)


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A DVC project of one stage that has run."""
    monkeypatch.chdir(tmp_path)
    dvc("init", "--no-scm", "-q")
    stage = {"cmd": "cp input.txt out.txt", "deps": ["input.txt"], "outs": ["out.txt"]}
    Path("dvc.yaml").write_text(yaml.safe_dump({"stages": {"copy": stage}}))
    Path("input.txt").write_text("1\n")
    dvc("repro", "-q")
    return tmp_path


def test_what_dvc_says_of_a_project(toy: Path) -> None:
    assert [finding.said for finding in check_dvc()] == ["1 are up to date"]

    Path("out.txt").unlink()
    (finding,) = check_dvc()
    assert (finding.said, finding.mend) == ("out.txt deleted", "dvc checkout (its files are in the cache)")

    shutil.rmtree(".dvc/cache")
    (finding,) = check_dvc()
    assert (finding.said, finding.mend) == ("out.txt not in cache", "dvc repro")

    Path("input.txt").write_text("2\n")
    (finding,) = check_dvc()
    assert finding.about == "stage copy"
    assert "input.txt modified" in finding.said

    Path("dvc.lock").write_text("<<<<<<< HEAD\n")
    (finding,) = check_dvc()
    assert finding.state == "wrong"
    assert "dvc.lock" in finding.said
    assert "dvc.lock" in finding.mend

    Path("dvc.lock").unlink()
    assert [finding.said for finding in check_dvc()] == ["none has run yet"]

    shutil.rmtree(".dvc")
    (finding,) = check_dvc()
    assert finding.said == "this folder is no DVC project"


@pytest.mark.parametrize("content", ["", "[]", '{"write": {"out.txt": {"pid": 1, "cmd": "dvc repro"}}, "read": {}}'])
def test_a_lock_that_dvc_would_wait_for_or_stumble_over(
    content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(".dvc/tmp").mkdir(parents=True)
    Path(".dvc/tmp/rwlock").write_text(content)
    (finding,) = check_dvc()
    assert (finding.state, finding.mend) == ("wrong", "rm .dvc/tmp/rwlock")


def test_the_store_of_mlflow(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{path}")
    monkeypatch.setattr("kadr.operations.doctor.tools.WAIT_S", 0.1)
    assert [finding.state for finding in check_mlflow()] == ["ok"]
    assert not path.exists()

    shutil.copy(empty_store, path)
    assert [finding.state for finding in check_mlflow()] == ["ok"]

    other = sqlite3.connect(path)
    other.execute("BEGIN IMMEDIATE")
    (finding,) = check_mlflow()
    other.close()
    assert "another process keeps the store locked" in finding.said

    path.write_text("this is no database, however long its text may be " * 20)
    (finding,) = check_mlflow()
    assert "no SQLite database" in finding.said


def test_a_server_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    assert [finding.state for finding in check_prefect()] == ["ok"]
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    assert [finding.state for finding in check_prefect()] == ["wrong"]


@pytest.mark.slow
def test_the_command_says_it_to_people_and_programs(toy: Path, project: Path) -> None:
    for name in ("params.yaml", "requirements.lock"):
        shutil.copy(project / name, toy)
    environment = {**os.environ, "PYTHONPATH": str(project), "PREFECT_API_URL": ""}
    command = [sys.executable, "-c", "from kadr.cli.main import app; app()", "doctor", "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr  # the toy has no data/raw/sample
    seen = {finding["about"]: finding for finding in json.loads(done.stdout)}
    assert seen["source"]["mend"] == "make sample"
    assert seen["stages"]["state"] == "ok"
