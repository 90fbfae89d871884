"""Tests of the fingerprint cache, which reads only new and changed files."""

import hashlib
import os
import time
from pathlib import Path
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest

from kadr.io import fingerprints
from kadr.io.fingerprints import Fingerprints

LONG_AGO = 1_000_000_000


def let_time_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """Move the clock forward by a minute, so that the ctime of all files is long ago."""
    clock = SimpleNamespace(time_ns=lambda: time.time_ns() + 60_000_000_000)
    monkeypatch.setattr(fingerprints, "time", clock)


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    paths = []
    for name in ("a", "b"):
        path = tmp_path / name
        path.write_text(name)
        os.utime(path, (LONG_AGO, LONG_AGO))
        paths.append(str(path))
    return paths


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record the path of each file that is read."""
    paths: list[str] = []
    original = fingerprints._sha256

    def spy(path: str) -> str | None:
        paths.append(path)
        return original(path)

    monkeypatch.setattr(fingerprints, "_sha256", spy)
    return paths


def digests(*texts: str) -> list[str]:
    return [hashlib.sha256(text.encode()).hexdigest() for text in texts]


def test_an_unchanged_file_is_read_once(
    files: list[str], read: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_time_pass(monkeypatch)
    store = tmp_path / "store.parquet"
    for _ in range(2):
        assert Fingerprints(store).sha256(files) == digests("a", "b")
        assert Fingerprints(store).sha256(files[::-1]) == digests("b", "a")
    assert sorted(read) == files


@pytest.mark.parametrize("change", ["content", "time", "replaced", "same time"])
def test_a_changed_file_is_read_again(files: list[str], read: list[str], tmp_path: Path, change: str) -> None:
    known = Fingerprints(tmp_path / "store.parquet")
    known.sha256(files)
    path = Path(files[0])
    if change == "content":
        path.write_text("longer")
    elif change == "time":
        path.write_text("c")
        os.utime(path, (LONG_AGO + 1, LONG_AGO + 1))
    elif change == "same time":
        path.write_text("c")
        os.utime(path, (LONG_AGO, LONG_AGO))
    else:
        (tmp_path / "new").write_text("c")
        os.utime(tmp_path / "new", (LONG_AGO, LONG_AGO))
        (tmp_path / "new").replace(path)
    assert known.sha256(files) == digests("longer" if change == "content" else "c", "b")
    assert read.count(files[0]) == 2
    assert read.count(files[1]) == 1


def test_a_recently_written_file_is_read_again(files: list[str], read: list[str], tmp_path: Path) -> None:
    store = tmp_path / "store.parquet"
    for _ in range(2):
        Fingerprints(store).sha256(files)
    assert (read.count(files[0]), read.count(files[1])) == (2, 2)


def test_files_are_read_again_on_request(
    files: list[str], read: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_time_pass(monkeypatch)
    store = tmp_path / "store.parquet"
    known = Fingerprints(store)
    known.sha256(files)
    known.sha256(files, reread=True)
    known.forget([files[1], "unknown"])
    assert Fingerprints(store).sha256(files) == digests("a", "b")
    assert (read.count(files[0]), read.count(files[1])) == (2, 3)


def test_times_out_of_range_are_saved(files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    let_time_pass(monkeypatch)
    stat = SimpleNamespace(st_size=1, st_mtime_ns=10**27, st_ctime_ns=-(10**27), st_ino=2**64 - 1)
    with monkeypatch.context() as patched:
        patched.setattr(fingerprints, "os", SimpleNamespace(stat=lambda _: stat))
        Fingerprints(tmp_path / "store.parquet").sha256(files)
    assert Fingerprints(tmp_path / "store.parquet").sha256(files) == digests("a", "b")


def test_a_store_without_ctime_is_ignored(files: list[str], read: list[str], tmp_path: Path) -> None:
    store = tmp_path / "store.parquet"
    Fingerprints(store).sha256(files)
    pq.write_table(pq.read_table(store).drop_columns(["ctime_ns"]), store)
    assert Fingerprints(store).sha256(files) == digests("a", "b")
    assert len(read) == 4


def test_missing_files_and_a_damaged_store_are_tolerated(files: list[str], tmp_path: Path) -> None:
    store = tmp_path / "store.parquet"
    store.write_bytes(b"no parquet")
    assert Fingerprints(store).sha256([*files, str(tmp_path / "none")]) == [*digests("a", "b"), None]
    assert Fingerprints(store).sha256([]) == []
