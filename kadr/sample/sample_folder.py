"""A folder that appears whole or not at all."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kadr.errors import KadrError

MARKER = "sample.json"


class SampleError(KadrError):
    """The sample cannot be drawn as asked, or not into that folder."""


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Give an empty folder beside `folder` to write into; it takes that one's place when the block ends well.

    Raises:
        SampleError: `folder` holds something that is not a sample.
    """
    _check_replaceable(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".partial", dir=folder.parent))
    try:
        written = partial / "new"
        written.mkdir()
        yield written
        _swap(folder, written, partial / "old")
    finally:
        shutil.rmtree(partial)


def _swap(folder: Path, written: Path, old: Path) -> None:
    if folder.exists():
        folder.rename(old)
    try:
        written.rename(folder)
    except OSError:
        if old.exists():
            old.rename(folder)
        raise


def _check_replaceable(folder: Path) -> None:
    if not folder.exists() or (folder.is_dir() and (folder / MARKER).is_file()):
        return
    if not folder.is_dir() or any(folder.iterdir()):
        raise SampleError(
            f"{folder} exists and is no sample (it has no {MARKER}); name another folder, or remove it first"
        )
