"""The index's checksums: of what its files were when they were written, and which of them are no longer so."""

import hashlib
from collections.abc import Mapping
from pathlib import Path


def checksums(folder: Path) -> dict[str, str]:
    """The sha256 of each file in the folder by its name there, sorted."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): _sha256(path) for path in files}


def damaged(folder: Path, written: Mapping[str, str]) -> list[str]:
    """The names in `written`, which `checksums` gave, whose files are not there or have other bytes: reads them all."""
    return [
        name for name, sha256 in written.items() if not (folder / name).is_file() or _sha256(folder / name) != sha256
    ]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
