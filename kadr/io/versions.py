"""The index's way to its readers: a folder that is there whole or not at all."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kadr.errors import SearchError
from kadr.io.storage import alone


@contextmanager
def published(folder: Path) -> Iterator[Path]:
    """Yield an empty folder beside `folder`; what the block wrote there replaces `folder` at its end.

    A block that raises leaves `folder` as it was. What a killed writer left behind is removed by the next one.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    previous = folder.with_name(f".{folder.name}.previous")
    for leftover in (partial, previous):
        shutil.rmtree(leftover, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        if folder.exists():
            folder.rename(previous)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(previous, ignore_errors=True)


class Versions:
    """A link `folder` to the newest of its versions, which lie with their writer's notes in a hidden folder beside it.

    The link changes by one rename, so that at any moment, whatever is killed, it leads to a whole version. Readers
    follow it once (`Path.resolve`) and then read one version.

    Args:
        folder: the link.
        kept: versions that stay when a new one comes: by default it, and the one before, which somebody may be reading.

    Raises:
        SearchError: `folder` is there and is no such link.
    """

    def __init__(self, folder: Path, kept: int = 2) -> None:
        self.folder = folder
        self.home = folder.with_name(f".{folder.name}")
        self.kept = kept
        if folder.exists() and not folder.is_symlink():
            raise SearchError(f"{folder} is there already and is no link to a version; move it away, or name another")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """A block that only one process is in. Raises SearchError where another one is."""
        self.home.mkdir(parents=True, exist_ok=True)
        busy = SearchError(f"{self.folder}: another process is at work on it; wait until it is done")
        with alone(self.home / "lock", busy):
            yield

    def all(self) -> list[Path]:
        """The versions that there are, oldest first."""
        return sorted(self.home.glob("v*[0-9]"), key=_number)

    def switch(self, version: Path) -> None:
        """Let the link lead to this version, by one rename. Only for the process that is `alone`."""
        link = self.home / "link"
        link.unlink(missing_ok=True)
        link.symlink_to(os.path.relpath(version.absolute(), self.folder.parent.absolute()))
        link.replace(self.folder)

    @contextmanager
    def new(self) -> Iterator[Path]:
        """Yield an empty folder that becomes the newest version at the end of the block, unless the block raises.

        Only for the process that is `alone`. What a killed writer left is removed.
        """
        for leftover in self.home.glob("*.partial"):
            shutil.rmtree(leftover)
        version = self.home / f"v{1 + max(map(_number, self.all()), default=0):06d}"
        partial = version.with_suffix(".partial")
        partial.mkdir()
        try:
            yield partial
            partial.rename(version)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        self.switch(version)
        for old in self.all()[: -self.kept]:
            shutil.rmtree(old)


def _number(version: Path) -> int:
    return int(version.name[1:])
