"""The collection's list of files: every photo below a folder or an fsspec address, by its name."""

import logging
import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import NoReturn

import pandas as pd

from kadr.errors import InputError
from kadr.io.storage import find_remote

logger = logging.getLogger(__name__)

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif")
_TIMES = ("mtime", "LastModified", "last_modified", "updated", "created")  # fsspec's file systems do not agree

File = tuple[str, int | None, datetime | None]


def list_files(addresses: Sequence[str]) -> tuple[pd.DataFrame, int]:
    """The photos below `addresses`, and how many other files there are; hidden files and folders are passed over.

    So are folders that are links, and files whose names are not UTF-8: the log says how many.

    Returns:
        Columns path (absolute, or a URI; each once), bytes (Int64) and modified (UTC), NA and NaT where they are not
        known, sorted by path; and the number of files that have no photo's suffix.

    Raises:
        InputError: an address cannot be read, or there is no photo below it.
    """
    found: dict[str, File] = {}
    n_others = 0
    for address in addresses:
        files = list(_local(address) if is_local(address) else _remote(address))
        photos = [file for file in files if _suffix(file[0]) in SUFFIXES]
        n_others += len(files) - len(photos)
        named = {file[0]: file for file in photos if _is_utf8(file[0])}
        if len(named) < len(photos):
            logger.warning(
                "%s: %d photos are passed over, because their names are not UTF-8; rename them (e.g. by convmv)",
                address,
                len(photos) - len(named),
            )
        if not named:
            raise InputError(
                f"{address}: no photos ({', '.join(SUFFIXES)}) among {len(files)} files; name a folder of photos, or "
                "mount what it is on"
            )
        found |= named
    table = pd.DataFrame([found[path] for path in sorted(found)], columns=["path", "bytes", "modified"])
    modified = pd.to_datetime(table["modified"]).astype("datetime64[us]")
    return table.assign(bytes=table["bytes"].astype("Int64"), modified=modified), n_others


def is_local(path: str) -> bool:
    """Whether it is a path of the disk, not a URI."""
    return "://" not in path


def _suffix(path: str) -> str:
    name = path if is_local(path) else path.partition("::")[0]  # zip://a.jpg::photos.zip
    return PurePosixPath(name).suffix.lower()


def _is_utf8(path: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in path)


def _local(address: str) -> Iterator[File]:
    root = Path(os.path.abspath(Path(address).expanduser()))
    if (file := _stat(root)) is not None:
        yield file
        return
    if not root.is_dir():
        raise InputError(f"{root}: no such file or folder, wanted photos; mend the path, or mount what it is on")
    links = []
    for folder, folders, names in os.walk(root, onerror=_refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        links += [Path(folder, name) for name in folders if Path(folder, name).is_symlink()]
        for name in names:
            if not name.startswith(".") and (file := _stat(Path(folder, name))) is not None:
                yield file
    if links:
        logger.warning(
            "%s: %d folders are links and are not followed (%s); name what they lead to as further addresses",
            root,
            len(links),
            links[0],
        )


def _refuse(error: OSError) -> NoReturn:
    raise InputError(f"{error.filename}: cannot be read ({error.strerror}); mend its permissions") from error


def _stat(path: Path) -> File | None:
    """None where there is no such file, or not any more."""
    try:
        if not path.is_file():
            return None
        stat = path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        _refuse(error)
    modified = datetime.fromtimestamp(stat.st_mtime_ns // 1000 / 1e6, UTC).replace(tzinfo=None)
    return str(path), stat.st_size, modified


def _remote(address: str) -> Iterator[File]:
    system, root, found = find_remote(address)
    head, chained, archive = address.partition("::")
    archive = os.path.abspath(Path(archive).expanduser()) if is_local(archive) else archive
    inside = chained + archive if chained and "://" in head else ""  # of zip://::a.zip is zip://a.jpg::/home/me/a.zip
    for path, entry in sorted(found.items()):
        parts = PurePosixPath("/", path).relative_to(PurePosixPath("/", root)).parts
        if not any(part.startswith(".") for part in parts):
            size = entry.get("size")
            yield f"{system.unstrip_protocol(path)}{inside}", None if size is None else int(size), _time(entry)


def _time(entry: dict[str, object]) -> datetime | None:
    for name in _TIMES:
        value = entry.get(name)
        if isinstance(value, int | float):
            return datetime.fromtimestamp(value, UTC).replace(tzinfo=None)
        if isinstance(value, datetime):
            return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
    return None
