"""List the image files in local folders and at fsspec addresses, including subfolders."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import PurePosixPath

import pandas as pd

from kadr.collection.exclusion import Exclusion
from kadr.collection.local_files import File, is_image_file, local_root, walk_local
from kadr.collection.passed_over import PassedOver, is_below
from kadr.collection.remote_files import list_remote, split_address
from kadr.collection.scope import Scope
from kadr.errors import InputError
from kadr.io.image_formats import IMAGE_SUFFIXES

_BACKUP_SUFFIXES = ("~", "_original", ".bak", ".part", ".partial", ".crdownload", ".thm")
"""Ends of the names of copies, downloads in progress and thumbnails of videos. These files are not indexed."""

_THREADS = 16  # number of threads that read the first bytes of files


@dataclass(frozen=True)
class Listing:
    """The image files at some addresses.

    Attributes:
        files: table sorted by path, with the columns path (absolute path or URI, unique), bytes (Int64) and modified
            (UTC). Unknown values are NA.
        passed_over: all other files and folders.
        scopes: paths that belong to each address.
    """

    files: pd.DataFrame
    passed_over: PassedOver
    scopes: Sequence[Scope]

    def contains(self, path: str) -> bool:
        """Return whether a path belongs to one of the addresses, whether or not the file exists."""
        return any(scope.relative_path(path) is not None for scope in self.scopes)

    def leaves_out(self, path: str) -> bool:
        """Return whether a file is not indexed because of its path or a .nomedia file, whether or not it exists."""
        scopes = [(scope, name) for scope in self.scopes if (name := scope.relative_path(path)) is not None]
        is_left_out = all(scope.leaves_out(name) for scope, name in scopes) or is_below(path, self.passed_over.silent)
        return bool(scopes) and is_left_out


def list_images(addresses: Sequence[str], exclude: Sequence[str] = ()) -> Listing:
    """List the image files at the given addresses, including subfolders.

    A file is an image file if its name has the suffix of a supported format. A local file without such a suffix is an
    image file if its content is an image.

    Args:
        addresses: folders, files or fsspec addresses.
        exclude: patterns of files and folders that are not indexed, as in `Exclusion`.

    Raises:
        InputError: an address cannot be read or contains no images, or a pattern is invalid.
    """
    exclusion, passed_over = Exclusion(exclude), PassedOver()
    files_by_path: dict[str, File] = {}
    scopes = []
    for address in addresses:
        root, archive = (local_root(address), "") if is_local(address) else split_address(address)
        scopes.append(Scope(root.rstrip("/"), archive, exclusion.below(root)))
        if is_local(address):
            files = list(walk_local(root, scopes[-1].exclusion, passed_over))
        else:
            files = list(list_remote(address, scopes[-1].exclusion, passed_over))
        images = {file[0]: file for file in _select_images(files, passed_over)}
        if not images:
            raise InputError(_explain_no_images(address, len(files), passed_over))
        files_by_path |= images
    exclusion.warn_unused()
    table = pd.DataFrame([files_by_path[path] for path in sorted(files_by_path)], columns=["path", "bytes", "modified"])
    modified = pd.to_datetime(table["modified"]).astype("datetime64[us]")
    table = table.assign(bytes=table["bytes"].astype("Int64"), modified=modified)
    return Listing(table, passed_over, scopes)


def is_local(path: str) -> bool:
    """Return True for a local path, and False for a URI."""
    return "://" not in path


def may_be_image(path: str, *, exists: bool) -> bool:
    """Return whether a local path is the path of an image file.

    Args:
        path: path of a file, or of a folder or a file that does not exist any more.
        exists: whether the path is a file whose content can be read. If False, only the name is used, and a name
            without the suffix of an image may be the name of a folder that contains images.
    """
    if _has_image_suffix(path):
        return True
    return not path.lower().endswith(_BACKUP_SUFFIXES) and (not exists or is_image_file(path))


def _select_images(files: Sequence[File], passed_over: PassedOver) -> list[File]:
    """Return the image files, and count the other files."""
    others = [path for path, _, _ in files if not _has_image_suffix(path)]
    unknown = [path for path in others if is_local(path) and not path.lower().endswith(_BACKUP_SUFFIXES)]
    with ThreadPoolExecutor(_THREADS) as pool:
        recognised = {path for path, found in zip(unknown, pool.map(is_image_file, unknown), strict=True) if found}
    passed_over.add_others(os.path.basename(path) for path in others if path not in recognised)
    return [file for file in files if _has_image_suffix(file[0]) or file[0] in recognised]


def _has_image_suffix(path: str) -> bool:
    name = path if is_local(path) else path.partition("::")[0]  # zip://a.jpg::photos.zip
    return PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES


def _explain_no_images(address: str, n_files: int, passed_over: PassedOver) -> str:
    found = f" Passed over: {passed_over.describe()}." if passed_over.counts else ""
    return (
        f"{address}: none of {n_files} files is an image.{found} Use another folder, or mount the disk that contains "
        "the images."
    )
