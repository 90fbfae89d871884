"""Tests of the DVC checks with small DVC projects."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from kadr.io.stage_failure import StageFailure, write_failure
from kadr.operations.doctor.dvc_checks import check_dvc

pytestmark = pytest.mark.filterwarnings(
    "ignore:_NoneStep.value:DeprecationWarning"
)  # raised by pygtrie, which DVC uses


def dvc(*arguments: str) -> None:
    environment = {**os.environ, "DVC_NO_ANALYTICS": "1"}
    subprocess.run([sys.executable, "-m", "dvc", *arguments], env=environment, check=True, capture_output=True)


@pytest.fixture
def dvc_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A DVC project whose only stage has run."""
    monkeypatch.chdir(tmp_path)
    dvc("init", "--no-scm", "-q")
    stage = {"cmd": "cp input.txt out.txt", "deps": ["input.txt"], "outs": ["out.txt"]}
    Path("dvc.yaml").write_text(yaml.safe_dump({"stages": {"copy": stage}}))
    Path("input.txt").write_text("1\n")
    dvc("repro", "-q")
    return tmp_path


def test_each_state_of_a_dvc_project_has_a_fix(dvc_project: Path) -> None:
    assert [finding.message for finding in check_dvc()] == ["1 stages are up to date"]

    Path("out.txt").unlink()
    (finding,) = check_dvc()
    assert (finding.message, finding.fix) == ("out.txt deleted", "dvc checkout (the files are in the cache)")

    shutil.rmtree(".dvc/cache")
    (finding,) = check_dvc()
    assert (finding.message, finding.fix) == ("out.txt not in cache", "dvc repro")

    Path("input.txt").write_text("2\n")
    (finding,) = check_dvc()
    assert finding.subject == "stage copy"
    assert "input.txt modified" in finding.message

    Path("dvc.lock").write_text("<<<<<<< HEAD\n")
    (finding,) = check_dvc()
    assert finding.state == "problem"
    assert "dvc.lock" in finding.message
    assert "rm dvc.lock; dvc repro" in finding.fix

    Path("dvc.lock").unlink()
    assert [finding.message for finding in check_dvc()] == ["No stage has run yet."]

    shutil.rmtree(".dvc")
    (finding,) = check_dvc()
    assert finding.message == "This folder is not a DVC project."


def test_a_failed_stage_is_reported_with_its_reason_until_it_is_up_to_date(dvc_project: Path) -> None:
    failure = StageFailure("copy", "GateError", "1 gate failed:\n  rmse is 0.3", ["reports/x"], flow_run_id="an-id")
    write_failure(failure)
    assert [finding.state for finding in check_dvc()] == ["ok"]  # a later run succeeded, e.g. from the run cache
    Path("out.txt").unlink()
    (finding,) = check_dvc()
    assert (finding.subject, finding.state) == ("stage copy", "problem")
    reason = f"failed on {failure.time:%Y-%m-%d at %H:%M} UTC in flow run an-id: 1 gate failed:\n  rmse is 0.3"
    assert finding.message == f"{reason}\nSee reports/x."
    assert finding.fix == "correct the cause, then dvc repro copy"
    Path("dvc.lock").unlink()
    assert [finding.message for finding in check_dvc()] == [f"{reason}\nSee reports/x."]


@pytest.mark.parametrize("content", ["", "[]", '{"write": {"out.txt": {"pid": 1, "cmd": "dvc repro"}}, "read": {}}'])
def test_a_damaged_or_stale_lock_is_a_problem(content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path(".dvc/tmp").mkdir(parents=True)
    Path(".dvc/tmp/rwlock").write_text(content)
    (finding,) = check_dvc()
    assert (finding.state, finding.fix) == ("problem", "rm .dvc/tmp/rwlock")


@pytest.mark.slow
def test_the_command_prints_all_findings_as_json(dvc_project: Path, project: Path) -> None:
    for name in ("params.yaml", "requirements.lock"):
        shutil.copy(project / name, dvc_project)
    environment = {**os.environ, "PYTHONPATH": str(project), "PREFECT_API_URL": ""}
    command = [sys.executable, "-m", "kadr", "doctor", "--json"]
    process = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert process.returncode == 1, process.stderr  # the project has no data/raw/sample
    findings = {finding["subject"]: finding for finding in json.loads(process.stdout)}
    assert findings["source"]["fix"] == "make sample"
    assert findings["stages"]["state"] == "ok"


def test_a_stage_whose_code_has_changed_names_the_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    dvc("init", "--no-scm", "-q")
    stages = {
        "code": {"cmd": "mkdir -p data && cp -r hashes data/code", "deps": ["hashes"], "outs": ["data/code"]},
        "train": {"cmd": "touch model", "deps": ["data/code/train.json"], "outs": ["model"]},
    }
    Path("dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    Path("hashes").mkdir()
    Path("hashes/train.json").write_text('{"kadr.errors": "1", "kadr.io": "1", "kadr.model": "1"}')
    dvc("repro", "-q")
    Path("hashes/train.json").write_text('{"kadr.errors": "1", "kadr.io": "2", "kadr.search": "1"}')
    dvc("repro", "-q", "code")
    (finding,) = check_dvc()
    assert finding.subject == "stage train"
    changes = {"kadr.io": "modified", "kadr.search": "added", "kadr.model": "removed"}
    assert finding.message == ", ".join(f"data/code/train.json: {name} {change}" for name, change in changes.items())
