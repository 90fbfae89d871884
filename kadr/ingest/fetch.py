"""Copy a remote dataset folder to a local folder that DVC can track."""

import hashlib
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any

from kadr.errors import InputError
from kadr.io.storage import list_remote_files
from kadr.progress import progress

_THREADS = 8


def fetch(address: str, folder: Path, *, force: bool = False) -> int:
    """Copy all files of a remote folder to a local folder.

    The files are copied to a hidden temporary folder, which is renamed to `folder` after the last file is copied. If
    the copy is interrupted, a second call resumes it. Files that are already in the temporary folder are skipped if
    their size matches the size of the remote file.

    Args:
        address: fsspec address, such as s3://bucket/photos, file:///data/photos or memory://photos.
        folder: local folder to create.
        force: whether to replace `folder` if it exists.

    Returns:
        Number of files in the remote folder.

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
    listing = sorted((path.removeprefix(root), sorted(map(str, entry.items()))) for path, entry in entries.items())
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
    files = {
        str(PurePosixPath(path).relative_to(root.rstrip("/") or "/")): (path, int(entry["size"]))
        for path, entry in sorted(entries.items())
    }
    if not files or "." in files:
        raise _no_files_error(address)
    if any(".." in PurePosixPath(name).parts for name in files):
        raise InputError(f"{address}: a file path contains `..` and could point outside the folder. Rename the file.")
    return files, filesystem


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
