"""List the files at an fsspec address, such as a bucket or an archive."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from kadr.collection.exclusion import RootExclusion
from kadr.collection.local_files import NO_MEDIA_NAMES, File
from kadr.collection.passed_over import EXCLUDED, NO_MEDIA, NOT_UTF8, PassedOver
from kadr.collection.timestamps import to_datetime
from kadr.io.storage import list_remote_files, open_remote
from kadr.io.system_files import system_path_kind

_TIME_KEYS = ("mtime", "LastModified", "last_modified", "updated", "created")
"""Keys of the modification time in the file details of different fsspec file systems."""


def list_remote(address: str, exclusion: RootExclusion, passed_over: PassedOver) -> Iterator[File]:
    """Yield the files at an fsspec address, sorted by path.

    System files, excluded files and names that are not valid UTF-8 are passed over and counted.

    Args:
        address: fsspec address.
        exclusion: patterns of files and folders that are not indexed.
        passed_over: counts to update.

    Raises:
        InputError: the address cannot be read.
    """
    system, root, entries = list_remote_files(address)
    archive = _archive_part(address)
    relative = {path: PurePosixPath("/", path).relative_to(PurePosixPath("/", root)) for path in entries}
    silent = {path.parent for path in relative.values() if path.name in NO_MEDIA_NAMES} - {PurePosixPath(".")}
    for path, entry in sorted(entries.items()):
        kind = _find_kind(relative[path], silent, exclusion)
        uri = f"{system.unstrip_protocol(path)}{archive}"
        if kind is not None:
            passed_over.add(kind, uri)
        else:
            size = entry.get("size")
            yield uri, None if size is None else int(size), _modification_time(entry)


def _find_kind(path: PurePosixPath, silent: set[PurePosixPath], exclusion: RootExclusion) -> str | None:
    """Return the kind of a file that is passed over, or None for any other file."""
    if kind := system_path_kind(str(path)):
        return kind
    if silent.intersection(path.parents):
        return NO_MEDIA
    if any("\ud800" <= character <= "\udfff" for character in str(path)):
        return NOT_UTF8
    return EXCLUDED if exclusion.excludes(str(path)) else None


def split_address(address: str) -> tuple[str, str]:
    """Split an address into the URI of its folder and, if the folder is in an archive, the path of the archive.

    Raises:
        InputError: the address cannot be read, or the package for its scheme is not installed.
    """
    system, root = open_remote(address)
    return str(system.unstrip_protocol(root)), _archive_part(address)


def _archive_part(address: str) -> str:
    """Return the part of a chained address after the path: zip://::a.zip -> ::/home/me/a.zip."""
    head, chained, archive = address.partition("::")
    if not chained or "://" not in head:
        return ""
    return chained + (archive if "://" in archive else os.path.abspath(Path(archive).expanduser()))


def _modification_time(entry: dict[str, object]) -> datetime | None:
    for key in _TIME_KEYS:
        value = entry.get(key)
        if isinstance(value, int | float):
            return to_datetime(int(value * 1e9)) if abs(value) < 1e12 else None
        if isinstance(value, datetime):
            return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
    return None
