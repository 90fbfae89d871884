"""Read and write files on a disk or in object storage, by path or URI."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
from filelock import FileLock, Timeout
from pyarrow import fs

from kadr.errors import InputError, KadrError

Location = str | Path
"""A local path, a URI that Arrow supports, or an fsspec address."""


def locate(location: Location) -> tuple[fs.FileSystem, str]:
    """Return the file system of a location, and the path within that file system."""
    if "://" not in str(location):
        return fs.LocalFileSystem(), str(location)
    try:
        return fs.FileSystem.from_uri(str(location))  # type: ignore[no-any-return]
    except pa.ArrowInvalid:  # Arrow does not support this scheme
        import fsspec

        system, path = fsspec.core.url_to_fs(str(location))
        return fs.PyFileSystem(fs.FSSpecHandler(system)), path


def read_bytes(location: Location) -> bytes:
    """Read a file and return its content. Raises OSError if the file cannot be read."""
    if "://" not in str(location):
        return Path(location).read_bytes()
    if any(character in str(location) for character in "#?%"):  # Arrow interprets these characters as parts of the URI
        import fsspec

        system, path = fsspec.core.url_to_fs(str(location))
        return bytes(system.cat_file(path))
    system, path = locate(location)
    with system.open_input_stream(path) as file:
        return bytes(file.read())


def sha256(path: Path) -> str:
    """Return the SHA-256 of a local file in hexadecimal digits. Raises OSError if the file cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def write_atomically(path: Path) -> Iterator[Path]:
    """Yield a path for a temporary file, which replaces the file at `path` when the `with` block ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def exclusive_lock(lock: Path, busy: KadrError) -> Iterator[None]:
    """Hold a lock file during the `with` block. Raise `busy` if another process holds the lock file."""
    try:
        with FileLock(lock, timeout=0):
            yield
    except Timeout as error:
        raise busy from error


class Folder:
    """A folder on a disk or in object storage. `str(folder)` is its location. Any method may raise OSError."""

    def __init__(self, location: Location) -> None:
        self._location = str(location)
        self._system, self._path = locate(location)

    def __str__(self) -> str:
        return self._location

    def __truediv__(self, name: str) -> "Folder":
        return Folder(f"{self._location}/{name}")

    def create(self) -> None:
        """Create the folder and any missing parent folders."""
        self._system.create_dir(self._path, recursive=True)

    def list_entries(self) -> list[fs.FileInfo]:
        """Return the files and subfolders, sorted by name. The list is empty if the folder does not exist."""
        entries = self._system.get_file_info(fs.FileSelector(self._path, allow_not_found=True))
        return sorted(entries, key=lambda entry: str(entry.base_name))

    def open(self, name: str) -> pa.NativeFile:
        """Open a file for random access."""
        return self._system.open_input_file(f"{self._path}/{name}")

    def read(self, name: str) -> bytes:
        """Read a file and return its content."""
        with self.open(name) as file:
            return bytes(file.read())

    def write(self, name: str, content: "bytes | pa.Buffer") -> None:
        """Write a file atomically, by a rename on a disk or by a single upload to object storage."""
        on_disk = isinstance(self._system, fs.LocalFileSystem)
        target = f"{self._path}/{name}"
        partial = f"{self._path}/.{name}.{os.getpid()}.partial" if on_disk else target
        try:
            with self._system.open_output_stream(partial) as file:
                file.write(content)
            if on_disk:
                self._system.move(partial, target)
        except BaseException:
            if on_disk and self.exists(f".{name}.{os.getpid()}.partial"):
                self._system.delete_file(partial)
            raise

    def exists(self, name: str) -> bool:
        """Return whether the folder contains a file or folder with this name."""
        return bool(self._system.get_file_info(f"{self._path}/{name}").type != fs.FileType.NotFound)

    def rename(self, name: str, new_name: str) -> None:
        """Rename a file."""
        self._system.move(f"{self._path}/{name}", f"{self._path}/{new_name}")

    def delete(self, name: str) -> None:
        """Delete a file if it exists."""
        try:
            self._system.delete_file(f"{self._path}/{name}")
        except FileNotFoundError:
            return

    def delete_all(self) -> None:
        """Delete the folder and everything in it."""
        self._system.delete_dir(self._path)


def open_remote(address: str) -> tuple[Any, str]:
    """Return the fsspec file system of an address, and the path of the address in that file system.

    Raises:
        InputError: the address cannot be read, or the package for its scheme is not installed.
    """
    import fsspec

    try:
        system, path = fsspec.core.url_to_fs(address)
    except ImportError as error:
        raise InputError(f"{address}: the package for this scheme is not installed ({error}). Install it.") from error
    except (OSError, ValueError) as error:
        raise _unreadable_address(address, error) from error
    return system, path


def list_remote_files(address: str) -> tuple[Any, str, dict[str, dict[str, Any]]]:
    """List the files at an fsspec address, including all subfolders.

    Returns:
        The fsspec file system, the path of the address in that file system, and the files: path -> details from fsspec.

    Raises:
        InputError: the address cannot be read, or the package for its scheme is not installed.
    """
    filesystem, root = open_remote(address)
    try:
        files = filesystem.find(root, detail=True)
    except (OSError, ValueError) as error:
        raise _unreadable_address(address, error) from error
    return filesystem, root, files


def _unreadable_address(address: str, error: Exception) -> InputError:
    return InputError(f"{address}: the address cannot be read ({error}). Check the spelling and the permissions.")
