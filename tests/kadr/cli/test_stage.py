"""Tests of running a stage: metrics after success, and error messages after failure."""

import errno
import json
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kadr.cli.stage import Metrics, run_stage
from kadr.errors import GateError, InputError
from kadr.io.schemas import IMAGES, write_table
from kadr.io.stage_failure import read_failure, read_failures
from kadr.io.text_files import write_json
from kadr.params import Params
from kadr.project import PROJECT
from tasks import index, train


@pytest.fixture
def folder(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Create a folder with the settings of the project."""
    shutil.copy(project / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_metrics_of_a_stage_are_written(folder: Path) -> None:
    run_stage("toy", lambda params: {"seed": params.seed, "text": "мяч"})
    written = (folder / "metrics/toy.json").read_text(encoding="utf-8")
    assert json.loads(written) == {"seed": 0, "text": "мяч"}
    assert "мяч" in written
    assert [path.name for path in (folder / "metrics").iterdir()] == ["toy.json"]


def test_a_kadr_error_ends_the_stage_with_its_message(folder: Path) -> None:
    def stage(_params: Params) -> dict[str, object]:
        raise InputError("no ratings in data/raw: add ratings.tsv")

    with pytest.raises(SystemExit, match=r"^toy: error: no ratings in data/raw: add ratings.tsv$"):
        run_stage("toy", stage)
    assert not (folder / "metrics").exists()


def test_another_exception_is_raised(folder: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        run_stage("toy", lambda params: {"seed": 1 // params.seed})


def test_invalid_settings_exit_with_1_and_name_the_key(folder: Path, project: Path) -> None:
    path = folder / "params.yaml"
    path.write_text(path.read_text().replace("seed: 0 ", "sead: 0 "))
    code = "from kadr.cli.stage import run_stage; run_stage('toy', lambda params: {})"
    process = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(project)}, capture_output=True, text=True, check=False
    )
    assert process.returncode == 1
    assert "toy: error: params.yaml is not valid:" in process.stderr
    assert "sead: unknown key" in process.stderr
    assert "Traceback" not in process.stderr


def test_a_value_that_is_not_json_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert json.loads(path.read_text()) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]


@contextmanager
def limited_file_size(n_bytes: int) -> Iterator[None]:
    """Make writes beyond the first `n_bytes` of a file fail, as on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize(("name", "stage"), [("train", train.train), ("index", index.index)])
def test_a_full_disk_is_an_error_and_leaves_no_partial_files(
    name: str,
    stage: Callable[[Params], Metrics],
    small_project: Path,
    small_params: Params,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("kadr.cli.stage.load_params", lambda: small_params)
    write_table(IMAGES.empty_table(), PROJECT.corpus, IMAGES)
    with (
        limited_file_size(1000),
        pytest.raises(SystemExit, match=rf"^{name}: error: .*File too large.* Free up space on this disk"),
    ):
        run_stage(name, stage)
    assert not list(small_project.rglob("*.partial"))
    assert not (small_project / "metrics").exists()
    run_stage(name, stage)
    assert (small_project / "metrics" / f"{name}.json").is_file()


def test_a_file_with_the_name_of_a_folder_is_an_error(folder: Path) -> None:
    (folder / "metrics").write_text("")
    with pytest.raises(
        SystemExit, match=r"^toy: error: .*metrics.*\. Move the file that occupies the path of a folder"
    ):
        run_stage("toy", lambda params: {})


def test_write_errors_have_a_fix_and_other_errors_are_raised(folder: Path) -> None:
    def fails(number: int) -> None:
        def stage(_params: Params) -> dict[str, object]:
            raise OSError(number, "no", "data")

        run_stage("toy", stage)

    with pytest.raises(SystemExit, match=r"'data'\. Give this user write permission"):
        fails(errno.EROFS)
    with pytest.raises(SystemExit, match=r"'data'\. Free up space on this disk"):
        fails(errno.ENOSPC)
    with pytest.raises(OSError, match="no"):
        fails(errno.EIO)


def test_a_failure_is_recorded_until_the_stage_runs_again(folder: Path) -> None:
    def stage(_params: Params) -> Metrics:
        raise GateError("2 gates failed:\n  rmse is 0.3\nChange evaluate.gates.", evidence=[Path("reports/rejected")])

    with pytest.raises(SystemExit):
        run_stage("toy@a", stage)
    failure = read_failure("toy@a")
    assert failure
    assert (failure.stage, failure.error) == ("toy@a", "GateError")
    assert failure.message == "2 gates failed:\n  rmse is 0.3\nChange evaluate.gates."
    assert failure.evidence == ["reports/rejected"]
    assert failure.flow_run_id is None
    assert read_failures() == [failure]
    run_stage("toy@a", lambda params: {})
    assert not read_failures()


def test_a_bug_is_recorded_in_the_folder_of_the_flow(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KADR_FAILURES", str(folder / "of the flow"))
    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", "an-id")
    with pytest.raises(ZeroDivisionError):
        run_stage("toy", lambda params: {"seed": 1 // params.seed})
    failure = read_failure("toy", folder / "of the flow")
    assert failure
    assert failure.message.startswith("ZeroDivisionError: integer division or modulo by zero. This is a bug")
    assert failure.flow_run_id == "an-id"


def test_a_damaged_record_of_a_failure_is_ignored(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    PROJECT.failures.mkdir(parents=True)
    (PROJECT.failures / "toy.json").write_text("{")
    assert read_failure("toy") is None
    assert "reports/failures/toy.json is not a valid failure record" in caplog.text
