"""Tests of the fingerprint cache, which reads only new and changed files."""

import hashlib
import os
from pathlib import Path

import pytest

from kadr.io import fingerprints
from kadr.io.fingerprints import Fingerprints

LONG_AGO = 1_000_000_000


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


def test_an_unchanged_file_is_read_once(files: list[str], read: list[str], tmp_path: Path) -> None:
    store = tmp_path / "store.parquet"
    for _ in range(2):
        assert Fingerprints(store).sha256(files) == digests("a", "b")
        assert Fingerprints(store).sha256(files[::-1]) == digests("b", "a")
    assert sorted(read) == files


@pytest.mark.parametrize("change", ["content", "time", "replaced"])
def test_a_changed_file_is_read_again(files: list[str], read: list[str], tmp_path: Path, change: str) -> None:
    known = Fingerprints(tmp_path / "store.parquet")
    known.sha256(files)
    path = Path(files[0])
    if change == "content":
        path.write_text("longer")
    elif change == "time":
        path.write_text("c")
        os.utime(path, (LONG_AGO + 1, LONG_AGO + 1))
    else:
        (tmp_path / "new").write_text("c")
        os.utime(tmp_path / "new", (LONG_AGO, LONG_AGO))
        (tmp_path / "new").replace(path)
    assert known.sha256(files) == digests("longer" if change == "content" else "c", "b")
    assert read.count(files[0]) == 2
    assert read.count(files[1]) == 1


def test_a_recently_written_file_is_read_again(files: list[str], read: list[str], tmp_path: Path) -> None:
    Path(files[0]).write_text("now")
    store = tmp_path / "store.parquet"
    for _ in range(2):
        Fingerprints(store).sha256(files)
    assert read.count(files[0]) == 2
    assert read.count(files[1]) == 1


def test_missing_files_and_a_damaged_store_are_tolerated(files: list[str], tmp_path: Path) -> None:
    store = tmp_path / "store.parquet"
    store.write_bytes(b"no parquet")
    assert Fingerprints(store).sha256([*files, str(tmp_path / "none")]) == [*digests("a", "b"), None]
    assert Fingerprints(store).sha256([]) == []
