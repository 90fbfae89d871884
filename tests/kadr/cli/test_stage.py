"""The stages' shell: metrics on success; the message alone, or the trace of a bug, on failure."""

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

from kadr.cli.stage import Metrics, run
from kadr.errors import InputError
from kadr.io.schemas import IMAGES, write_table
from kadr.io.text_files import write_json
from kadr.params import Params
from kadr.project import PROJECT
from tasks import index, train


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
    code = "from kadr.cli.stage import run; run('toy', lambda params: {})"
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


@contextmanager
def disk_of(n_bytes: int) -> Iterator[None]:
    """A block in which no file grows beyond `n_bytes`, whoever runs it: writing fails as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(("name", "stage"), [("train", train.train), ("index", index.stage)])
def test_a_full_disk_is_said_and_leaves_nothing_half_written(
    name: str,
    stage: Callable[[Params], Metrics],
    small_project: Path,
    small_params: Params,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("kadr.cli.stage.load_params", lambda: small_params)
    write_table(IMAGES.empty_table(), PROJECT.corpus, IMAGES)
    with disk_of(1000), pytest.raises(SystemExit, match=rf"^{name}: .*File too large.*: make room on that disk"):
        run(name, stage)
    assert not list(small_project.rglob("*.partial"))
    assert not (small_project / "metrics").exists()
    run(name, stage)
    assert (small_project / "metrics" / f"{name}.json").is_file()


def test_a_file_in_the_place_of_a_folder_is_said(folder: Path) -> None:
    (folder / "metrics").write_text("")
    with pytest.raises(SystemExit, match=r"^toy: .*metrics.*: a file is where a folder is wanted: move it away"):
        run("toy", lambda params: {})


def test_a_disk_that_cannot_be_written_is_said_and_other_trouble_is_a_bug(folder: Path) -> None:
    def fails(number: int) -> None:
        def stage(_params: Params) -> dict[str, object]:
            raise OSError(number, "no", "data")

        run("toy", stage)

    with pytest.raises(SystemExit, match="'data': let this user write there"):
        fails(errno.EROFS)
    with pytest.raises(SystemExit, match="'data': make room on that disk"):
        fails(errno.ENOSPC)
    with pytest.raises(OSError, match="no"):
        fails(errno.EIO)
