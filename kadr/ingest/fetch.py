"""Copy a remote dataset folder to a local folder that DVC can track."""

import hashlib
import logging
import shutil
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any

from kadr.errors import InputError
from kadr.io.storage import list_remote_files
from kadr.io.system_files import HIDDEN, system_path_kind
from kadr.progress import progress

logger = logging.getLogger(__name__)

_THREADS = 8


def fetch(address: str, folder: Path, *, force: bool = False) -> int:
    """Copy all files of a remote folder to a local folder. System files such as Thumbs.db are passed over.

    The files are copied to a hidden temporary folder, which is renamed to `folder` after the last file is copied. If
    the copy is interrupted, a second call resumes it. Files that are already in the temporary folder are skipped if
    their size matches the size of the remote file.

    Args:
        address: fsspec address, such as s3://bucket/photos, file:///data/photos or memory://photos.
        folder: local folder to create.
        force: whether to replace `folder` if it exists.

    Returns:
        Number of copied files.

    Raises:
        InputError: the address cannot be read or contains no files, or `folder` exists and `force` is false.
    """
    if folder.exists() and not force:
        raise InputError(f"The folder {folder} already exists. Choose another folder, or use --force to replace it.")
    files, filesystem = _list_files(address)
    partial = folder.with_name(f".{folder.name}.partial")
    _delete_other_files(partial, files)
    with progress("fetch files", len(files)) as advance, ThreadPoolExecutor(_THREADS) as pool:
        for _ in pool.map(lambda name: _copy_file(filesystem, *files[name], partial / name), files):
            advance(1)
    if folder.exists():
        shutil.rmtree(folder)
    partial.rename(folder)
    return len(files)


def listing_key(address: str) -> str:
    """Return a key that changes when a file in a remote folder is added, removed or modified.

    The key is a hash of the names, sizes, modification times and checksums that the file system lists. The files
    themselves are not read.

    Args:
        address: fsspec address of the remote folder.

    Returns:
        16 hexadecimal digits.

    Raises:
        InputError: the address cannot be read or contains no files.
    """
    _, root, entries = list_remote_files(address)
    names = _relative_names(root, entries)
    listing = sorted((name, sorted(map(str, entries[path].items()))) for name, path in names.items())
    if not listing:
        raise _no_files_error(address)
    return hashlib.sha256(repr(listing).encode()).hexdigest()[:16]


def _list_files(address: str) -> tuple[dict[str, tuple[str, int]], Any]:
    """List the files in a remote folder.

    Returns:
        A mapping from the relative path of each file to its remote path and its size in bytes, and the fsspec file
        system.
    """
    filesystem, root, entries = list_remote_files(address)
    names = _relative_names(root, entries)
    files = {name: (path, int(entries[path]["size"])) for name, path in names.items()}
    passed_over = Counter(kind for path in entries if (kind := _system_kind(root, path)))
    if passed_over:
        counts = ", ".join(f"{n:,} {kind}" for kind, n in sorted(passed_over.items()))
        logger.info("%s: passed over system files: %s", address, counts)
    if not files or "." in files:
        raise _no_files_error(address)
    if any(".." in PurePosixPath(name).parts for name in files):
        raise InputError(f"{address}: a file path contains `..` and could point outside the folder. Rename the file.")
    return files, filesystem


def _relative_names(root: str, paths: Iterable[str]) -> dict[str, str]:
    """Return the remote path of each file that is not a system file, by its path relative to the remote folder."""
    return {_relative_name(root, path): path for path in sorted(paths) if not _system_kind(root, path)}


def _relative_name(root: str, path: str) -> str:
    return str(PurePosixPath(path).relative_to(root.rstrip("/") or "/"))


def _system_kind(root: str, path: str) -> str | None:
    """Return the kind of a system file, None for other files. Hidden files of unknown kind are no system files."""
    kind = system_path_kind(_relative_name(root, path))
    return None if kind == HIDDEN else kind


def _no_files_error(address: str) -> InputError:
    return InputError(
        f"{address}: no files found. The folder must contain images, texts and ratings. Correct the address."
    )


def _copy_file(filesystem: Any, path: str, size: int, target: Path) -> None:
    """Copy one file atomically. Skip the file if `target` exists and has `size` bytes."""
    if target.is_file() and target.stat().st_size == size:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    try:
        filesystem.get_file(path, str(part))
    except OSError as error:
        raise InputError(
            f"{path}: the file cannot be copied ({error}). Run the same command again to resume the copy."
        ) from error
    part.replace(target)


def _delete_other_files(partial: Path, files: dict[str, tuple[str, int]]) -> None:
    """Delete files from the temporary folder that no longer exist in the remote folder."""
    for path in sorted(partial.rglob("*"), reverse=True) if partial.is_dir() else ():
        if path.is_file() and path.relative_to(partial).as_posix() not in files:
            path.unlink()
