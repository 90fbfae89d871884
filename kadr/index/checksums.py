"""The index's checksums: of what its files were when they were written, and which of them are no longer so."""

from collections.abc import Mapping
from pathlib import Path

from kadr.io.storage import sha256


def checksums(folder: Path) -> dict[str, str]:
    """The sha256 of each file in the folder by its name there, sorted."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256(path) for path in files}


def damaged(folder: Path, written: Mapping[str, str]) -> list[str]:
    """The names in `written`, which `checksums` gave, whose files are not there or have other bytes: reads them all."""
    return [
        name for name, wanted in written.items() if not (folder / name).is_file() or sha256(folder / name) != wanted
    ]
