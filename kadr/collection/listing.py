"""The collection's list of files: every photo below a folder or an fsspec address, by its name."""

import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

import pandas as pd

from kadr.errors import InputError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif")
_TIMES = ("mtime", "LastModified", "last_modified", "updated", "created")  # fsspec's file systems do not agree

File = tuple[str, int, datetime | None]


def list_files(addresses: Sequence[str]) -> tuple[pd.DataFrame, int]:
    """The photos below `addresses`, and how many other files there are; hidden files and folders are passed over.

    Returns:
        Columns path (absolute, or a URI; each once), bytes and modified (UTC, NaT where it is not known), sorted by
        path; and the number of files that have no photo's suffix.

    Raises:
        InputError: an address cannot be read, or there is no photo below any.
    """
    found: dict[str, File] = {}
    n_others = 0
    for address in addresses:
        for file in _remote(address) if "://" in address else _local(address):
            if PurePosixPath(file[0]).suffix.lower() in SUFFIXES:
                found[file[0]] = file
            else:
                n_others += 1
    if not found:
        raise InputError(
            f"{', '.join(addresses)}: no photos ({', '.join(SUFFIXES)}) among {n_others} files; name a folder of photos"
        )
    files = pd.DataFrame([found[path] for path in sorted(found)], columns=["path", "bytes", "modified"])
    return files.assign(modified=pd.to_datetime(files["modified"]).astype("datetime64[us]")), n_others


def is_local(path: str) -> bool:
    """Whether it is a path of the disk, not a URI."""
    return "://" not in path


def _local(address: str) -> Iterator[File]:
    root = Path(os.path.abspath(Path(address).expanduser()))
    if root.is_file():
        yield _stat(root)
        return
    if not root.is_dir():
        raise InputError(f"{root}: no such file or folder, wanted photos; mend the path, or mount what it is on")
    for folder, folders, names in os.walk(root, onerror=_refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in names:
            path = Path(folder, name)
            if not name.startswith(".") and path.is_file():
                yield _stat(path)


def _refuse(error: OSError) -> None:
    raise InputError(f"{error.filename}: the folder cannot be read ({error.strerror}); mend its permissions") from error


def _stat(path: Path) -> File:
    stat = path.stat()
    modified = datetime.fromtimestamp(stat.st_mtime_ns // 1000 / 1e6, UTC).replace(tzinfo=None)
    return str(path), stat.st_size, modified


def _remote(address: str) -> Iterator[File]:
    import fsspec

    try:
        system, root = fsspec.core.url_to_fs(address)
        found = system.find(root, detail=True)
    except ImportError as error:
        raise InputError(f"{address}: {error}; install what it names into .venv") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{address}: cannot be read ({error}); mend the address, or its permissions") from error
    for path, entry in sorted(found.items()):
        if not any(part.startswith(".") for part in PurePosixPath(path).relative_to(root.rstrip("/") or "/").parts):
            yield str(system.unstrip_protocol(path)), int(entry["size"]), _time(entry)


def _time(entry: dict[str, object]) -> datetime | None:
    for name in _TIMES:
        value = entry.get(name)
        if isinstance(value, int | float):
            return datetime.fromtimestamp(value, UTC).replace(tzinfo=None)
        if isinstance(value, datetime):
            return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
    return None
