"""The stages' shell: metrics on success; the message alone, or the trace of a bug, on failure."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kadr.errors import InputError
from kadr.params import Params
from tasks.stage import run, write_json


@pytest.fixture
def folder(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with the project's params.yaml."""
    shutil.copy(project / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_a_stage_returns_is_written_as_its_metrics(folder: Path) -> None:
    run("toy", lambda params: {"seed": params.seed, "text": "мяч"})
    written = (folder / "metrics/toy.json").read_text(encoding="utf-8")
    assert json.loads(written) == {"seed": 0, "text": "мяч"}
    assert "мяч" in written
    assert [path.name for path in (folder / "metrics").iterdir()] == ["toy.json"]


def test_an_error_of_the_users_ends_the_stage_with_its_message_alone(folder: Path) -> None:
    def stage(_params: Params) -> dict[str, object]:
        raise InputError("no ratings in data/raw: add ratings.tsv")

    with pytest.raises(SystemExit, match=r"^toy: no ratings in data/raw: add ratings.tsv$"):
        run("toy", stage)
    assert not (folder / "metrics").exists()


def test_a_bug_shows_its_trace(folder: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        run("toy", lambda params: {"seed": 1 // params.seed})


def test_wrong_params_exit_with_1_and_name_the_key(folder: Path, project: Path) -> None:
    path = folder / "params.yaml"
    path.write_text(path.read_text().replace("seed: 0 ", "sead: 0 "))
    code = "from tasks.stage import run; run('toy', lambda params: {})"
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(project)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "toy: params.yaml is not valid:" in done.stderr
    assert "sead: unknown key" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_value_that_is_not_json_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert json.loads(path.read_text()) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]
