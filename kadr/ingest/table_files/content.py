"""Open a table file, and decompress gzip files and zip archives."""

import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from kadr.errors import InputError
from kadr.io.system_files import system_path_kind

GZIP, ZIP = ".gz", ".zip"
_MAX_BYTES = 16 << 30  # a decompressed table


@dataclass(frozen=True)
class TableContent:
    """A table file, decompressed.

    Attributes:
        path: path of the file, for error messages.
        suffix: suffix of the decompressed file in lower case, without the dot.
        decompressed: content of a compressed file. None if the file at `path` is the table itself.
    """

    path: Path
    suffix: str
    decompressed: bytes | None = None

    def read(self) -> bytes:
        """Return the content of the table."""
        return self.path.read_bytes() if self.decompressed is None else self.decompressed

    def open(self) -> IO[bytes]:
        """Open the table for reading."""
        return self.path.open("rb") if self.decompressed is None else io.BytesIO(self.decompressed)


@contextmanager
def open_content(path: Path, suffixes: list[str]) -> Iterator[TableContent]:
    """Open a table file, and convert the errors of reading it in the `with` block to InputError.

    Args:
        path: path of the file. A file whose name ends in .gz or .zip is decompressed.
        suffixes: suffixes of table files, without the dot. A zip archive must contain exactly one table.

    Raises:
        InputError: the file is missing, cannot be read, is damaged, or is an archive without exactly one table.
    """
    try:
        yield _decompress(path, suffixes)
    except FileNotFoundError as error:
        raise InputError(f"The file {path} does not exist. Add the file, or correct ingest.source.") from error
    except (EOFError, gzip.BadGzipFile, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(
            f"{path}: the file cannot be decompressed ({error}). Expected a complete {path.suffix} file. Compress "
            "the table again, or add the table without compression."
        ) from error
    except OSError as error:
        raise InputError(
            f"{path}: the file cannot be read ({error.strerror or error}). Check the file permissions."
        ) from error


def _decompress(path: Path, suffixes: list[str]) -> TableContent:
    suffix = path.suffix.lower()
    if suffix == GZIP:
        with gzip.open(path) as file:
            return TableContent(path, Path(path.stem).suffix.lower()[1:], _read_bounded(path, file))
    if suffix == ZIP:
        with zipfile.ZipFile(path) as archive:
            table = _only_table(path, archive, suffixes)
            if table.flag_bits & 1:
                raise InputError(f"{path}: the archive is encrypted. Extract the archive, and add the table.")
            with archive.open(table) as file:
                return TableContent(path, _suffix(table), _read_bounded(path, file))
    return TableContent(path, suffix[1:])


def _only_table(path: Path, archive: zipfile.ZipFile, suffixes: list[str]) -> zipfile.ZipInfo:
    """Return the entry of the only table in a zip archive."""
    files = [file for file in archive.infolist() if not file.is_dir() and not system_path_kind(file.filename)]
    tables = [file for file in files if _suffix(file) in suffixes]
    if len(tables) != 1:
        names = ", ".join(file.filename for file in (tables or files)[:5]) or "no files"
        raise InputError(
            f"{path}: the archive contains {len(tables)} tables ({names}), expected one. Extract the archive, and "
            "add the wanted table."
        )
    return tables[0]


def _suffix(file: zipfile.ZipInfo) -> str:
    return PurePosixPath(file.filename).suffix.lower()[1:]


def _read_bounded(path: Path, file: IO[bytes] | gzip.GzipFile) -> bytes:
    content = file.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise InputError(
            f"{path}: the decompressed table is larger than {_MAX_BYTES >> 30} GiB. Split the table, or save it "
            "as Parquet."
        )
    return content
