"""The library room's door to files on a disk or in object storage: read by path or URI, written whole or not at all."""

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


def locate(where: Location) -> tuple[fs.FileSystem, str]:
    """The file system of `where` and the path in it: a path of the disk, a URI of Arrow's, or an fsspec address."""
    if "://" not in str(where):
        return fs.LocalFileSystem(), str(where)
    try:
        return fs.FileSystem.from_uri(str(where))  # type: ignore[no-any-return]
    except pa.ArrowInvalid:  # not a kind of address that Arrow itself reads
        import fsspec

        system, path = fsspec.core.url_to_fs(str(where))
        return fs.PyFileSystem(fs.FSSpecHandler(system)), path


def read_bytes(where: Location) -> bytes:
    """The content of the file at a path or URI. Raises OSError."""
    if "://" not in str(where):
        return Path(where).read_bytes()
    if any(letter in str(where) for letter in "#?%"):  # in a file's name; Arrow would read them as parts of a URI
        import fsspec

        system, path = fsspec.core.url_to_fs(str(where))
        return bytes(system.cat_file(path))
    system, path = locate(where)
    with system.open_input_stream(path) as file:
        return bytes(file.read())


def sha256(path: Path) -> str:
    """The sha256 of a file on a disk, in hexadecimal, read in parts. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def write_atomically(path: Path) -> Iterator[Path]:
    """Yield a name beside `path`; what the block writes there becomes `path` at its end, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def alone(lock: Path, busy: KadrError) -> Iterator[None]:
    """A block that only one process is in at a time, by the file `lock`. Raises `busy` where another one is."""
    try:
        with FileLock(lock, timeout=0):
            yield
    except Timeout as error:
        raise busy from error


class Folder:
    """A folder of files; `str` of it is where it is. Every method raises OSError where the file system does."""

    def __init__(self, where: Location) -> None:
        self._where = str(where)
        self._system, self._path = locate(where)

    def __str__(self) -> str:
        return self._where

    def __truediv__(self, name: str) -> "Folder":
        return Folder(f"{self._where}/{name}")

    def make(self) -> None:
        """Make the folder and those above it, where they are not there."""
        self._system.create_dir(self._path, recursive=True)

    def entries(self) -> list[fs.FileInfo]:
        """Files and folders right inside, in the order of their names; none where the folder is missing."""
        found = self._system.get_file_info(fs.FileSelector(self._path, allow_not_found=True))
        return sorted(found, key=lambda entry: str(entry.base_name))

    def open(self, name: str) -> pa.NativeFile:
        """The file `name`, to read at any place."""
        return self._system.open_input_file(f"{self._path}/{name}")

    def read(self, name: str) -> bytes:
        """The content of the file `name`."""
        with self.open(name) as file:
            return bytes(file.read())

    def write(self, name: str, content: "bytes | pa.Buffer") -> None:
        """Write the file `name`: on a disk by a temporary name and a rename; an object store shows whole files only."""
        on_disk = isinstance(self._system, fs.LocalFileSystem)
        target = f"{self._path}/{name}"
        partial = f"{self._path}/.{name}.{os.getpid()}.partial" if on_disk else target
        try:
            with self._system.open_output_stream(partial) as file:
                file.write(content)
            if on_disk:
                self._system.move(partial, target)
        except BaseException:
            if on_disk and self.has(f".{name}.{os.getpid()}.partial"):
                self._system.delete_file(partial)
            raise

    def has(self, name: str) -> bool:
        """Whether there is a file or folder `name`."""
        return bool(self._system.get_file_info(f"{self._path}/{name}").type != fs.FileType.NotFound)

    def rename(self, name: str, new: str) -> None:
        """Give a file another name."""
        self._system.move(f"{self._path}/{name}", f"{self._path}/{new}")

    def delete(self, name: str) -> None:
        """Delete a file; nothing where it is gone already."""
        try:
            self._system.delete_file(f"{self._path}/{name}")
        except FileNotFoundError:
            return

    def delete_all(self) -> None:
        """Delete the folder with all that is in it."""
        self._system.delete_dir(self._path)


def find_remote(address: str) -> tuple[Any, str, dict[str, dict[str, Any]]]:
    """The fsspec filesystem of an address, the path there, and its files below it: path -> what is known of it.

    Raises:
        InputError: the address cannot be read, or what reads it is not installed.
    """
    import fsspec

    try:
        filesystem, root = fsspec.core.url_to_fs(address)
        found = filesystem.find(root, detail=True)
    except ImportError as error:
        raise InputError(f"{address}: {error}; install what it names into .venv") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{address}: cannot be read ({error}); mend the address, or its permissions") from error
    return filesystem, root, found
