"""The ingest part's fetching: a remote folder, by its fsspec address, becomes a local one that DVC can watch."""

import hashlib
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any

from kadr.errors import InputError
from kadr.io.storage import find_remote
from kadr.progress import progress

_THREADS = 8  # they wait for the network


def fetch(address: str, folder: Path, *, force: bool = False) -> int:
    """Copy all files of a remote folder; `folder` appears once they are all there.

    An interrupted copy goes on where it was: a file that is there with the remote one's size is not copied again.

    Args:
        address: of fsspec, e.g. s3://bucket/photos, file:///data/photos, memory://photos
        folder: where to put the files.
        force: replace `folder` if it is there.

    Returns:
        How many files there are.

    Raises:
        InputError: where the address cannot be read, holds no file, or `folder` is there already.
    """
    if folder.exists() and not force:
        raise InputError(f"{folder} is there already; name another folder, or replace it by --force")
    files, filesystem = _list(address)
    partial = folder.with_name(f".{folder.name}.partial")
    _forget_others(partial, files)
    with progress("fetch files", len(files)) as advance, ThreadPoolExecutor(_THREADS) as pool:
        for _ in pool.map(lambda name: _copy(filesystem, *files[name], partial / name), files):
            advance(1)
    if folder.exists():
        shutil.rmtree(folder)
    partial.rename(folder)
    return len(files)


def listing_key(address: str) -> str:
    """Sixteen hexadecimal digits that change when a file comes, goes, or changes as its file system sees it.

    They are of names, sizes, times and checksums, whatever the file system lists; no file is read.

    Raises:
        InputError: where the address cannot be read, or holds no file.
    """
    _, root, found = find_remote(address)
    listed = sorted((path.removeprefix(root), sorted(map(str, entry.items()))) for path, entry in found.items())
    if not listed:
        raise InputError(f"{address}: no files in it, wanted a folder with photos, texts and ratings")
    return hashlib.sha256(repr(listed).encode()).hexdigest()[:16]


def _list(address: str) -> tuple[dict[str, tuple[str, int]], Any]:
    """Path below the address -> path in its file system and size in bytes; and that file system."""
    filesystem, root, found = find_remote(address)
    files = {
        str(PurePosixPath(path).relative_to(root.rstrip("/") or "/")): (path, int(entry["size"]))
        for path, entry in sorted(found.items())
    }
    if not files or "." in files:
        raise InputError(f"{address}: no files in it, wanted a folder with photos, texts and ratings")
    if any(".." in PurePosixPath(name).parts for name in files):
        raise InputError(f"{address}: a name in it leads out of the folder by `..`; rename it")
    return files, filesystem


def _copy(filesystem: Any, path: str, size: int, target: Path) -> None:
    """Copy one file, whole or not at all. Raises InputError where it cannot be read."""
    if target.is_file() and target.stat().st_size == size:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    try:
        filesystem.get_file(path, str(part))
    except OSError as error:
        raise InputError(f"{path}: cannot be copied ({error}); run the same command to go on from here") from error
    part.replace(target)


def _forget_others(partial: Path, files: dict[str, tuple[str, int]]) -> None:
    """Remove what an earlier, interrupted copy has that is not remote now."""
    for path in sorted(partial.rglob("*"), reverse=True) if partial.is_dir() else ():
        if path.is_file() and path.relative_to(partial).as_posix() not in files:
            path.unlink()
