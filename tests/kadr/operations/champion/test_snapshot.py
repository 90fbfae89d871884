"""Tests of `take_snapshot` with valid and invalid snapshots, and with interruptions."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kadr.errors import InputError
from kadr.ingest import fetch as fetch_module
from kadr.ingest.pipeline import IngestResult
from kadr.ingest.validation import Validation
from kadr.io.presets import set_value
from kadr.operations.champion import snapshot
from kadr.operations.champion.snapshot import take_snapshot
from kadr.params import load_params
from kadr.project import PROJECT
from kadr.sample import write_sample

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning"),  # raised by pygtrie, which DVC uses
]


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small generated dataset."""
    folder = tmp_path_factory.mktemp("generated") / "batch"
    write_sample(folder, 1, 12, 4, 6)
    return folder


@pytest.fixture
def arrived(generated: Path, tmp_path: Path) -> Path:
    """A new dataset outside the project."""
    return Path(shutil.copytree(generated, tmp_path / "arrived" / "batch"))


@pytest.fixture
def home(tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A DVC project with params.yaml and the expectation suites."""
    home = tmp_path / "home"
    shutil.copytree(project / "expectations", home / "expectations")
    shutil.copy(project / "params.yaml", home)
    for limit in (
        "max_bad_rows",
        "max_bad_images",
    ):  # a small sample dataset contains too many defects for the default limits
        set_value(f"ingest.{limit}", "0.5", home / "params.yaml")
    monkeypatch.chdir(home)
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    subprocess.run([sys.executable, "-m", "dvc", "init", "--no-scm", "-q"], check=True)
    return home


def project_files(home: Path) -> dict[str, bytes]:
    """Return the content of every file that a snapshot may change, by path."""
    files = [path for path in home.rglob("*") if path.is_file() and not {".dvc", "expectations"} & {*path.parts}]
    return {path.relative_to(home).as_posix(): path.read_bytes() for path in files if path.name != ".snapshots.lock"}


def current_source() -> str:
    return load_params().ingest.source


def test_a_snapshot_becomes_the_input(home: Path, arrived: Path) -> None:
    (PROJECT.raw / ".batch-0123456789abcdef.partial").mkdir(parents=True)  # left by an interrupted copy
    folder, is_new = take_snapshot(str(arrived), load_params().ingest)
    assert is_new
    assert not list(PROJECT.raw.glob("*.partial"))
    assert folder.parent == PROJECT.raw
    assert folder.name.startswith("batch-")
    assert current_source() == folder.as_posix()
    assert Path(f"{folder}.dvc").is_file()
    assert (folder / "train_images").is_dir()
    before = project_files(home)
    assert take_snapshot(f"file://{arrived}", load_params().ingest) == (folder, False)
    assert project_files(home) == before

    (arrived / "sample.json").touch()  # the listing changes, but not the content
    assert take_snapshot(str(arrived), load_params().ingest) == (folder, False)
    assert {name for name in project_files(home) if name not in before} == set()
    (arrived / "more.txt").write_text("new")
    other, is_new = take_snapshot(str(arrived), load_params().ingest)
    assert is_new
    assert (current_source(), other != folder) == (other.as_posix(), True)
    assert folder.is_dir()


def test_a_folder_in_data_raw_is_not_copied(home: Path, arrived: Path) -> None:
    shutil.copytree(arrived, PROJECT.raw / "sample")
    assert take_snapshot("data/raw/sample", load_params().ingest) == (Path("data/raw/sample"), True)
    before = project_files(home)
    assert Path("data/raw/sample.dvc").is_file()
    assert take_snapshot(str(home / "data/raw/sample/"), load_params().ingest) == (Path("data/raw/sample"), False)
    assert project_files(home) == before


def test_an_invalid_snapshot_changes_nothing(home: Path, arrived: Path) -> None:
    set_value("ingest.max_bad_images", "0.01", home / "params.yaml")
    before = project_files(home)
    with pytest.raises(InputError, match="fails the checks of the `ingest` stage") as error:
        take_snapshot(str(arrived), load_params().ingest)
    assert error.value.evidence == (PROJECT.rejected_input,)
    assert "truncated" in (PROJECT.rejected_input / "quarantine.csv").read_text(encoding="utf-8")
    added = ("data/raw/batch-", "reports/rejected_input/")
    assert {name: content for name, content in project_files(home).items() if not name.startswith(added)} == before
    with pytest.raises(InputError, match="nowhere"):
        take_snapshot("nowhere", load_params().ingest)
    with snapshot._lock_snapshots(), pytest.raises(InputError, match="Another process is fetching a snapshot"):
        take_snapshot(str(arrived), load_params().ingest)


class Killed(BaseException):
    """An interruption that no error handler catches."""


def interrupt_after(n: int, function: Callable[..., object]) -> Callable[..., object]:
    """Return a function that calls `function` n times, and then raises Killed."""
    calls = iter(range(n))

    def interrupted(*args: object, **kwargs: object) -> object:
        if next(calls, None) is None:
            raise Killed
        return function(*args, **kwargs)

    return interrupted


@pytest.mark.parametrize(
    ("module", "name", "n"),
    [
        (fetch_module, "_copy_file", 7),
        (snapshot, "_add_to_dvc", 0),
        (snapshot, "write_json", 0),
        (snapshot, "set_value", 0),
    ],
    ids=lambda value: str(value) if isinstance(value, str) else "",
)
def test_an_interrupted_snapshot_can_be_repeated(
    home: Path, arrived: Path, monkeypatch: pytest.MonkeyPatch, module: object, name: str, n: int
) -> None:
    params = load_params()
    monkeypatch.setattr(snapshot, "ingest", lambda *_: IngestResult({}, {}, Validation()))  # accept every snapshot
    with monkeypatch.context() as patch:
        patch.setattr(module, name, interrupt_after(n, getattr(module, name)))
        with pytest.raises(Killed):
            take_snapshot(str(arrived), params.ingest)
    assert load_params() == params
    if name == "_copy_file":
        assert [path.name for path in PROJECT.raw.iterdir() if path.is_dir()] == [
            f".batch-{fetch_module.listing_key(str(arrived))}.partial"
        ]
    folder, _ = take_snapshot(str(arrived), params.ingest)
    assert current_source() == folder.as_posix()
    assert {path.name for path in PROJECT.raw.iterdir()} == {
        folder.name,
        f"{folder.name}.dvc",
        ".snapshots.json",
        ".snapshots.lock",
    }
    assert take_snapshot(str(arrived), load_params().ingest) == (folder, False)


def test_a_snapshot_that_changes_during_the_copy_is_refused(
    home: Path, arrived: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch_and_change(address: str, folder: Path) -> int:
        n = fetch_module.fetch(address, folder)
        (arrived / "late.txt").write_text("late")
        return n

    monkeypatch.setattr(snapshot, "fetch", fetch_and_change)
    with pytest.raises(InputError, match="changed while it was copied"):
        take_snapshot(str(arrived), load_params().ingest)
    assert not [path for path in PROJECT.raw.iterdir() if path.is_dir()]
