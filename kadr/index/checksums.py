"""Checksums of the files of an index."""

from collections.abc import Mapping
from pathlib import Path

from kadr.io.storage import sha256


def checksums(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of all files in a folder: relative path -> SHA-256, sorted by path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256(path) for path in files}


def damaged_files(folder: Path, expected: Mapping[str, str]) -> list[str]:
    """Return the relative paths of files that are missing or do not match their checksums.

    Args:
        folder: folder that contains the files.
        expected: result of `checksums` after the files were written.
    """
    return [
        name for name, digest in expected.items() if not (folder / name).is_file() or sha256(folder / name) != digest
    ]
