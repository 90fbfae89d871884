"""List the image files in local folders and at fsspec addresses, including subfolders."""

import logging
import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import NoReturn

import pandas as pd

from kadr.errors import InputError
from kadr.io.storage import list_remote_files

logger = logging.getLogger(__name__)

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif")
_TIME_KEYS = ("mtime", "LastModified", "last_modified", "updated", "created")
"""Keys of the modification time in the file details of different fsspec file systems."""

File = tuple[str, int | None, datetime | None]
"""Path, size in bytes and modification time of a file."""


def list_image_files(addresses: Sequence[str]) -> tuple[pd.DataFrame, int]:
    """List the image files at the given addresses, including subfolders.

    Hidden files and folders are ignored. Linked folders are skipped with a warning. Files with a name that is
    not valid UTF-8 are also skipped with a warning.

    Args:
        addresses: folders, files or fsspec addresses.

    Returns:
        A table of image files and the number of other files. The table is sorted by path, and has the columns path
        (absolute path or URI, unique), bytes (Int64) and modified (UTC). Unknown values are NA.

    Raises:
        InputError: an address cannot be read, or contains no images.
    """
    files_by_path: dict[str, File] = {}
    n_others = 0
    for address in addresses:
        files = list(_list_local(address) if is_local(address) else _list_remote(address))
        images = [file for file in files if _suffix(file[0]) in SUFFIXES]
        n_others += len(files) - len(images)
        named = {file[0]: file for file in images if _is_utf8(file[0])}
        if len(named) < len(images):
            logger.warning(
                "%s: skipped %d images whose names are not valid UTF-8. Rename the files, e.g. with convmv.",
                address,
                len(images) - len(named),
            )
        if not named:
            raise InputError(
                f"{address}: none of {len(files)} files is an image. The names of image files end in "
                f"{', '.join(SUFFIXES)}. Use another folder, or mount the disk that contains the images."
            )
        files_by_path |= named
    table = pd.DataFrame([files_by_path[path] for path in sorted(files_by_path)], columns=["path", "bytes", "modified"])
    modified = pd.to_datetime(table["modified"]).astype("datetime64[us]")
    return table.assign(bytes=table["bytes"].astype("Int64"), modified=modified), n_others


def is_local(path: str) -> bool:
    """Return True for a local path, and False for a URI."""
    return "://" not in path


def _suffix(path: str) -> str:
    name = path if is_local(path) else path.partition("::")[0]  # zip://a.jpg::photos.zip
    return PurePosixPath(name).suffix.lower()


def _is_utf8(path: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in path)


def _list_local(address: str) -> Iterator[File]:
    root = Path(os.path.abspath(Path(address).expanduser()))
    if (file := _stat(root)) is not None:
        yield file
        return
    if not root.is_dir():
        raise InputError(f"{root}: the file or folder does not exist. Correct the path, or mount the disk.")
    links = []
    for folder, folders, names in os.walk(root, onerror=_raise_unreadable):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        links += [Path(folder, name) for name in folders if Path(folder, name).is_symlink()]
        for name in names:
            if not name.startswith(".") and (file := _stat(Path(folder, name))) is not None:
                yield file
    if links:
        logger.warning(
            "%s: skipped %d linked folders, e.g. %s. To index linked folders, pass their real paths.",
            root,
            len(links),
            links[0],
        )


def _raise_unreadable(error: OSError) -> NoReturn:
    raise InputError(f"{error.filename}: the path cannot be read ({error.strerror}). Check its permissions.") from error


def _stat(path: Path) -> File | None:
    """Return the path, size and modification time of a file, or None if the path is not an existing file."""
    try:
        if not path.is_file():
            return None
        stat = path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        _raise_unreadable(error)
    modified = datetime.fromtimestamp(stat.st_mtime_ns // 1000 / 1e6, UTC).replace(tzinfo=None)
    return str(path), stat.st_size, modified


def _list_remote(address: str) -> Iterator[File]:
    system, root, entries = list_remote_files(address)
    head, chained, archive = address.partition("::")
    archive = os.path.abspath(Path(archive).expanduser()) if is_local(archive) else archive
    inside = chained + archive if chained and "://" in head else ""  # zip://::a.zip -> zip://a.jpg::/home/me/a.zip
    for path, entry in sorted(entries.items()):
        parts = PurePosixPath("/", path).relative_to(PurePosixPath("/", root)).parts
        if not any(part.startswith(".") for part in parts):
            size = entry.get("size")
            modified = _modification_time(entry)
            yield f"{system.unstrip_protocol(path)}{inside}", None if size is None else int(size), modified


def _modification_time(entry: dict[str, object]) -> datetime | None:
    for key in _TIME_KEYS:
        value = entry.get(key)
        if isinstance(value, int | float):
            return datetime.fromtimestamp(value, UTC).replace(tzinfo=None)
        if isinstance(value, datetime):
            return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
    return None
