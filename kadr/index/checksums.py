"""Checksums of the files of an index."""

from collections.abc import Mapping
from pathlib import Path

from kadr.io.storage import sha256


def checksums(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file below a folder by its relative path, sorted."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256(path) for path in files}


def damaged_files(folder: Path, expected: Mapping[str, str]) -> list[str]:
    """Compare files with their checksums, and return the names of missing and changed files.

    Args:
        folder: folder of the files.
        expected: result of `checksums` at the time of writing.
    """
    return [
        name for name, digest in expected.items() if not (folder / name).is_file() or sha256(folder / name) != digest
    ]
