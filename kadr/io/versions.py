"""Publish folders atomically, so that readers always see a complete version."""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from kadr.errors import SearchError
from kadr.io.storage import exclusive_lock

_INTERIM = "-interim"  # end of the name of the folder of an interim version


@contextmanager
def publish_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty temporary folder that replaces `folder` when the `with` block ends.

    If the block raises an exception, `folder` is not changed. Temporary folders of killed processes are deleted.
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
    """All versions of a folder, and a symbolic link to the current version.

    The versions are stored in a hidden folder next to the link. The link is replaced with a single rename. The link
    therefore always points to a version whose files are complete, even if a process is killed. A reader resolves the
    link once (`Path.resolve`) and then reads all files from the same version.

    A long update can publish interim versions, which readers can use before the update ends. Interim versions do not
    count as versions, and the next version replaces them.

    Args:
        folder: path of the link.
        kept: number of versions to keep when a new version is published. By default, the previous version is also
            kept, because other processes may still be reading it.

    Raises:
        SearchError: `folder` exists and is not a link.
    """

    def __init__(self, folder: Path, kept: int = 2) -> None:
        self.folder = folder
        self.home = folder.with_name(f".{folder.name}")
        self.kept = kept
        if folder.exists() and not folder.is_symlink():
            raise SearchError(
                f"{folder} is a file or folder, expected a link to a version. Move the file or folder, or use another "
                "name."
            )

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the lock during the `with` block. Raise SearchError if another process holds the lock."""
        self.home.mkdir(parents=True, exist_ok=True)
        busy = SearchError(f"{self.folder}: another process is updating this folder. Wait until that process ends.")
        with exclusive_lock(self.home / "lock", busy):
            yield

    def list_versions(self) -> list[Path]:
        """Return the folders of all versions except interim versions, oldest first."""
        return sorted(self.home.glob("v*[0-9]"), key=_number)

    def switch_to(self, version: Path) -> None:
        """Point the link to a version with a single rename. The caller must hold the lock."""
        link = self.home / "link"
        link.unlink(missing_ok=True)
        link.symlink_to(os.path.relpath(version.absolute(), self.folder.parent.absolute()))
        link.replace(self.folder)

    @contextmanager
    def publish(self, *, interim: bool = False) -> Iterator[Path]:
        """Yield an empty folder that becomes the current version when the `with` block ends without an exception.

        The caller must hold the lock. Incomplete versions of killed processes are deleted.

        Args:
            interim: whether the version is an interim version of an update that is still running. The newest version
                that is not an interim version is then kept.
        """
        _delete(self.home.glob("*.partial"))
        existing, interims = self.list_versions(), self._interim_versions()
        number = 1 + max(map(_number, existing + interims), default=0)
        version = self.home / (f"v{number:06d}" + _INTERIM * interim)
        partial = version.with_name(f"{version.name}.partial")
        partial.mkdir()
        try:
            yield partial
            partial.rename(version)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        self.switch_to(version)
        if interim:
            _delete(existing[:-1] + interims[: 1 - self.kept])
        else:
            _delete([*existing, version][: -self.kept] + interims)

    def _interim_versions(self) -> list[Path]:
        """Return the folders of the interim versions, oldest first."""
        return sorted(self.home.glob(f"v*[0-9]{_INTERIM}"), key=_number)


def _number(version: Path) -> int:
    return int(version.name[1:].removesuffix(_INTERIM))


def _delete(folders: Iterable[Path]) -> None:
    for folder in folders:
        shutil.rmtree(folder)
