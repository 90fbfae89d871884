"""Walk through a local folder and yield its files, as people and operating systems leave them."""

import os
import stat
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from kadr.collection.exclusion import RootExclusion
from kadr.collection.passed_over import (
    BROKEN_LINK,
    EXCLUDED,
    LINKED_FOLDER,
    NO_MEDIA,
    NOT_UTF8,
    SPECIAL_FILE,
    UNREADABLE_FILE,
    UNREADABLE_FOLDER,
    PassedOver,
)
from kadr.collection.timestamps import to_datetime
from kadr.errors import InputError
from kadr.io.image_formats import PREFIX_LENGTH, is_image
from kadr.io.system_files import system_file_kind

File = tuple[str, int | None, datetime | None]
"""Path, size in bytes and modification time of a file."""

NO_MEDIA_NAMES = (".nomedia", ".noimage")
"""Names of files that ask photo programs to ignore their folder."""


def local_root(address: str) -> str:
    """Return the absolute path of a local address. `~` is the home folder."""
    return os.path.abspath(Path(address).expanduser())


def walk_local(root: str, exclusion: RootExclusion, passed_over: PassedOver) -> Iterator[File]:
    """Yield the regular files in a folder and its subfolders, sorted by name in each folder.

    System files, excluded files, broken links, linked folders, sockets, unreadable files and folders, and names that
    are not valid UTF-8 are passed over and counted. Links to files are followed.

    Args:
        root: absolute path of a folder or file. A file is yielded even if its name is the name of a system file.
        exclusion: patterns of files and folders that are not indexed.
        passed_over: counts to update.

    Raises:
        InputError: `root` does not exist or cannot be read.
    """
    try:
        status = os.stat(root)
        folders = [root] if stat.S_ISDIR(status.st_mode) else []
        waiting = {root: _list_folder(root)} if folders else {}
    except FileNotFoundError as error:
        raise InputError(f"{root}: the file or folder does not exist. Correct the path, or mount the disk.") from error
    except OSError as error:
        raise InputError(f"{root}: the path cannot be read ({error.strerror}). Check its permissions.") from error
    if not folders:
        yield _describe(root, status)
    while folders:
        folder = folders.pop()
        try:
            entries = waiting.pop(folder, None) or _list_folder(folder)
        except OSError:
            passed_over.add(UNREADABLE_FOLDER, folder)
            continue
        if folder != root and any(entry.name in NO_MEDIA_NAMES for entry in entries):
            passed_over.add(NO_MEDIA, folder)
            continue
        subfolders = []
        for entry in entries:
            found = _examine(entry, os.path.relpath(entry.path, root), exclusion)
            if isinstance(found, tuple):
                yield found
            elif found is None:
                subfolders.append(entry.path)
            else:
                passed_over.add(found, entry.path)
        folders += reversed(subfolders)


def is_image_file(path: str) -> bool:
    """Return whether the content of a local file is an image. Only the first bytes are read."""
    try:
        with Path(path).open("rb") as file:
            return is_image(file.read(PREFIX_LENGTH))
    except OSError:
        return False


def _list_folder(folder: str) -> list["os.DirEntry[str]"]:
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: entry.name)


def _examine(entry: "os.DirEntry[str]", path: str, exclusion: RootExclusion) -> File | str | None:
    """Return a file, the kind of an entry that is passed over, or None for a folder.

    Args:
        entry: entry of a folder.
        path: path of the entry relative to the address.
        exclusion: patterns of files and folders that are not indexed.
    """
    try:
        is_folder = entry.is_dir(follow_symlinks=False)
        if kind := _rule_kind(entry.name, path + "/" * is_folder, exclusion):
            return kind
        if is_folder:
            return None
        status = entry.stat()
    except OSError:
        return BROKEN_LINK if entry.is_symlink() else UNREADABLE_FILE
    if stat.S_ISREG(status.st_mode):
        return _describe(entry.path, status)
    return LINKED_FOLDER if stat.S_ISDIR(status.st_mode) else SPECIAL_FILE


def _rule_kind(name: str, path: str, exclusion: RootExclusion) -> str | None:
    """Return the kind of an entry that is passed over because of its name, or None for any other entry."""
    if kind := system_file_kind(name):
        return kind
    if any("\ud800" <= character <= "\udfff" for character in name):
        return NOT_UTF8
    return EXCLUDED if exclusion.excludes(path) else None


def _describe(path: str, status: os.stat_result) -> File:
    return path, status.st_size, to_datetime(status.st_mtime_ns)
