"""A snapshot on its way into the project: whole and checked or not at all, and from any point it goes on."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kadr.errors import InputError
from kadr.ingest import Ingested
from kadr.ingest import fetch as fetching
from kadr.io.presets import set_value
from kadr.operations.champion import snapshot
from kadr.operations.champion.snapshot import take
from kadr.params import load_params
from kadr.sample import write_sample

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning"),  # pygtrie under DVC
]


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small sample."""
    folder = tmp_path_factory.mktemp("drawn") / "batch"
    write_sample(folder, 1, 12, 4, 6)
    return folder


@pytest.fixture
def arrived(drawn: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(drawn, tmp_path / "arrived" / "batch"))


@pytest.fixture
def home(tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with DVC, of whose parts a snapshot needs params.yaml and the suites alone."""
    home = tmp_path / "home"
    shutil.copytree(project / "expectations", home / "expectations")
    shutil.copy(project / "params.yaml", home)
    for limit in ("max_bad_rows", "max_bad_images"):  # some are planted, and the sample is small
        set_value(f"ingest.{limit}", "0.5", home / "params.yaml")
    monkeypatch.chdir(home)
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    subprocess.run([sys.executable, "-m", "dvc", "init", "--no-scm", "-q"], check=True)
    return home


def held(home: Path) -> dict[str, bytes]:
    """All that a snapshot may change."""
    files = [path for path in home.rglob("*") if path.is_file() and not {".dvc", "expectations"} & {*path.parts}]
    return {path.relative_to(home).as_posix(): path.read_bytes() for path in files if path.name != ".snapshots.lock"}


def source() -> str:
    return load_params().ingest.source


def test_a_snapshot_becomes_the_input_once(home: Path, arrived: Path) -> None:
    (snapshot.RAW / ".batch-0123456789abcdef.partial").mkdir(parents=True)  # of an older listing, interrupted
    folder, is_new = take(str(arrived), load_params())
    assert is_new
    assert not list(snapshot.RAW.glob("*.partial"))
    assert folder.parent == snapshot.RAW
    assert folder.name.startswith("batch-")
    assert source() == folder.as_posix()
    assert Path(f"{folder}.dvc").is_file()
    assert (folder / "train_images").is_dir()
    before = held(home)
    assert take(f"file://{arrived}", load_params()) == (folder, False)
    assert held(home) == before

    (arrived / "sample.json").touch()  # another listing, the same content
    assert take(str(arrived), load_params()) == (folder, False)
    assert {name for name in held(home) if name not in before} == set()
    (arrived / "more.txt").write_text("new")
    other, is_new = take(str(arrived), load_params())
    assert is_new
    assert (source(), other != folder) == (other.as_posix(), True)
    assert folder.is_dir()


def test_a_folder_in_data_raw_stays_where_it_is(home: Path, arrived: Path) -> None:
    shutil.copytree(arrived, snapshot.RAW / "sample")
    assert take("data/raw/sample", load_params()) == (Path("data/raw/sample"), True)
    before = held(home)
    assert Path("data/raw/sample.dvc").is_file()
    assert take(str(home / "data/raw/sample/"), load_params()) == (Path("data/raw/sample"), False)
    assert held(home) == before


def test_what_does_not_pass_changes_nothing(home: Path, arrived: Path) -> None:
    set_value("ingest.max_bad_images", "0.01", home / "params.yaml")
    before = held(home)
    with pytest.raises(InputError, match="does not pass, and nothing is changed"):
        take(str(arrived), load_params())
    assert {name: content for name, content in held(home).items() if not name.startswith("data/raw/batch-")} == before
    with pytest.raises(InputError, match="nowhere: no files in it"):
        take("nowhere", load_params())
    with snapshot._alone(), pytest.raises(InputError, match="another process is taking a snapshot"):
        take(str(arrived), load_params())


class Killed(BaseException):
    """What no handler of errors catches."""


def after(n: int, do: Callable[..., object]) -> Callable[..., object]:
    """`do`, killed at the call after the first n."""
    calls = iter(range(n))

    def killed(*arguments: object, **named: object) -> object:
        if next(calls, None) is None:
            raise Killed
        return do(*arguments, **named)

    return killed


@pytest.mark.parametrize(
    ("where", "what", "n"),
    [
        (fetching, "_copy", 7),
        (snapshot, "_keep", 0),
        (snapshot, "write_json", 0),
        (snapshot, "set_value", 0),
    ],
    ids=lambda value: str(value) if isinstance(value, str) else "",
)
def test_a_kill_anywhere_is_mended_by_the_next_run(
    home: Path, arrived: Path, monkeypatch: pytest.MonkeyPatch, where: object, what: str, n: int
) -> None:
    params = load_params()
    monkeypatch.setattr(snapshot, "ingest", lambda *_: Ingested({}, {}, {}))  # it passes
    with monkeypatch.context() as patch:
        patch.setattr(where, what, after(n, getattr(where, what)))
        with pytest.raises(Killed):
            take(str(arrived), params)
    assert load_params() == params
    if what == "_copy":
        assert [path.name for path in snapshot.RAW.iterdir() if path.is_dir()] == [
            f".batch-{fetching.listing_key(str(arrived))}.partial"
        ]
        monkeypatch.setattr(fetching, "_copy", after(10**6, fetching._copy))
    folder, _ = take(str(arrived), params)
    assert source() == folder.as_posix()
    assert {path.name for path in snapshot.RAW.iterdir()} == {
        folder.name,
        f"{folder.name}.dvc",
        ".snapshots.json",
        ".snapshots.lock",
    }
    assert take(str(arrived), load_params()) == (folder, False)


def test_a_snapshot_that_changes_while_it_is_copied_is_not_taken(
    home: Path, arrived: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(address: str, folder: Path) -> int:
        n = fetching.fetch(address, folder)
        (arrived / "late.txt").write_text("late")
        return n

    monkeypatch.setattr(snapshot, "fetch", fetch)
    with pytest.raises(InputError, match="has changed while it was copied"):
        take(str(arrived), load_params())
    assert not [path for path in snapshot.RAW.iterdir() if path.is_dir()]
