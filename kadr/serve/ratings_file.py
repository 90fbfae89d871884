"""Store ratings from the web page in ratings_long.csv, in the long format that the `ingest` stage reads.

Each acknowledged rating is in the file, although disks become full, processes crash, several servers write to the file,
and people change it with other programs.
"""

import contextlib
import fcntl
import hashlib
import logging
import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import RLock

from kadr.errors import InputError
from kadr.io.storage import write_atomically
from kadr.io.texts import normalise_whitespace
from kadr.serve.ratings_table import (
    COLUMNS,
    REQUIRED_COLUMNS,
    NewRating,
    RatingsLayout,
    RatingsRow,
    read_layout,
    read_rows,
    split_incomplete_row,
)

__all__ = ["COLUMNS", "REQUIRED_COLUMNS", "NewRating", "RatingsFile"]

logger = logging.getLogger(__name__)

_OTHER_TABLE_FORMATS = (".tsv", ".txt", ".parquet")
_MAX_TRIES = 100

Pair = tuple[str, str]
"""ID of the image, and the text."""

FileState = tuple[int, int, int, int]
"""Device number, inode number, size in bytes, and modification time in nanoseconds."""


@dataclass
class _Content:
    """What the server knows of the content of the file.

    Attributes:
        state: state of the file when it was read or written.
        size: number of bytes without the half row at the end of the file.
        digest: SHA-256 of these bytes.
        layout: columns and line break.
        n_ratings: number of rows.
        by_rater: rater -> pair -> current rating, oldest first.
    """

    state: FileState | None = None
    size: int = 0
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    layout: RatingsLayout = field(default_factory=RatingsLayout)
    n_ratings: int = 0
    by_rater: dict[str, dict[Pair, NewRating]] = field(default_factory=dict)

    def add_rows(self, rows: list[RatingsRow], content: bytes) -> None:
        """Add rows at the end of the file, and their bytes."""
        for row in rows:
            if row.rating is not None:
                ratings = self.by_rater.setdefault(row.rating.rater, {})
                pair = (row.rating.image_id, row.rating.text)
                ratings.pop(pair, None)
                ratings[pair] = row.rating
        self.n_ratings += len(rows)
        self.size += len(content)
        self.digest.update(content)


class RatingsFile:
    """A CSV file of ratings.

    Several threads and processes can use the file at the same time. Before each use, the server checks whether the file
    has changed, and reads the changes.

    Args:
        path: path of the CSV file. If the file does not exist, it is created when the first rating is stored.

    Attributes:
        path: path of the CSV file.

    Raises:
        InputError: the existing file has a different format, or the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = RLock()
        self._content = _Content()
        with self._explain_errors():
            self._check_writable()
            if not path.exists() or not path.stat().st_size:
                self._check_other_formats()
        self._refresh()

    @property
    def error(self) -> str | None:
        """Reason why ratings cannot be stored at this moment, or None if they can be stored."""
        try:
            with self._explain_errors():
                self._check_writable()
            self._refresh()
        except InputError as error:
            return str(error)
        return None

    @property
    def n_ratings(self) -> int:
        """Number of ratings in the file. Raises InputError if the file cannot be read."""
        return self._refresh().n_ratings

    def contains(self, rater: str, image_id: str, text: str) -> bool:
        """Return whether a rater has rated an image-text pair. Raises InputError if the file cannot be read."""
        ratings = self._refresh().by_rater.get(normalise_whitespace(rater), {})
        return (image_id, normalise_whitespace(text)) in ratings

    def ratings_by(self, rater: str) -> list[NewRating]:
        """Return the current ratings of a rater, oldest first. Raises InputError if the file cannot be read."""
        with self._lock:
            return list(self._refresh().by_rater.get(normalise_whitespace(rater), {}).values())

    def n_pairs_by(self, rater: str) -> int:
        """Return the number of pairs that a rater has rated. Raises InputError if the file cannot be read."""
        return len(self._refresh().by_rater.get(normalise_whitespace(rater), {}))

    def append(self, rating: NewRating) -> None:
        """Append a rating to the file, and wait until the rating is on disk.

        If the rating cannot be written completely, the file is as before.

        Args:
            rating: rating to store.

        Raises:
            InputError: the file cannot be written, or somebody has changed its format.
        """
        with self._explain_errors(), self._lock, self._open_locked() as file:
            content = self._read(file)
            line = content.layout.format_row(rating)
            prefix = self._line_prefix(file, content)
            self._write_at_end(file, prefix + line, content.size)
            if not content.size:
                _sync_folder(self.path.parent)
            rows = read_rows(content.layout, line)
            content.add_rows(rows, prefix + line)
            content.state = _file_state(os.fstat(file))

    def withdraw(self, rater: str, image_id: str, text: str) -> bool:
        """Remove all ratings of a pair by a rater, and wait until the file without them is on disk.

        Another file replaces the file atomically, so that `ingest` reads either all rows or all remaining rows.

        Args:
            rater: name of the rater.
            image_id: ID of the image.
            text: text of the pair.

        Returns:
            Whether there was a rating to remove.

        Raises:
            InputError: the file cannot be written, or somebody has changed its format.
        """
        wanted = (normalise_whitespace(rater), image_id, normalise_whitespace(text))
        if not self.path.exists():
            return False
        with self._explain_errors(), self._lock, self._open_locked() as file:
            known = self._read(file)
            content = _read_all(file)[: known.size]
            rows = read_rows(known.layout, content, has_header=True)
            removed = [
                row for row in rows if row.rating and (row.rating.rater, row.rating.image_id, row.rating.text) == wanted
            ]
            if not removed:
                return False
            starts, ends = [0, *(row.end for row in removed)], [*(row.start for row in removed), len(content)]
            kept = b"".join(content[start:end] for start, end in zip(starts, ends, strict=True))
            self._replace(kept)
            self._content.state = None
            return True

    def _refresh(self) -> _Content:
        """Read what has changed in the file, and return its content."""
        with self._explain_errors(), self._lock:
            try:
                if self._content.state == _file_state(self.path.stat()):
                    return self._content
                file = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            except FileNotFoundError:
                self._content = _Content()
                return self._content
            try:
                return self._read(file)
            finally:
                os.close(file)

    def _read(self, file: int) -> _Content:
        """Read what has changed in an open file, and return its content.

        If rows were appended, only these rows are parsed. After any other change, the whole file is parsed.
        """
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode):
            raise self._format_error("it is not a regular file")
        state = _file_state(status)
        known = self._content
        if known.state == state:
            return known
        known.state = None
        with self._name_file_in_errors():
            content, _ = split_incomplete_row(_read_all(file))
            has_grown = known.size and hashlib.sha256(content[: known.size]).digest() == known.digest.digest()
            if not has_grown:
                known = _Content(layout=read_layout(content) if content else RatingsLayout())
            added = content[known.size :]
            known.add_rows(read_rows(known.layout, added, has_header=not known.size), added)
        known.state = state
        self._content = known
        return known

    @contextlib.contextmanager
    def _name_file_in_errors(self) -> Iterator[None]:
        """Add the name of the file to an InputError in the `with` block."""
        try:
            yield
        except InputError as error:
            raise self._format_error(str(error)) from error

    def _line_prefix(self, file: int, content: _Content) -> bytes:
        """Return the bytes to write before a new row: the header, a missing line break, or nothing."""
        if not content.size:
            return content.layout.format_header()
        return b"" if os.pread(file, 1, content.size - 1) == b"\n" else content.layout.line_break.encode()

    def _write_at_end(self, file: int, line: bytes, size: int) -> None:
        """Write bytes after the first `size` bytes of a file, and wait until they are on disk.

        A half row that a failed write left there is removed. If the bytes cannot be written, the file gets this size.
        """
        if half_row := os.pread(file, os.fstat(file).st_size, size):
            logger.warning("%s: removed half a row that a failed write left at the end: %r", self.path, half_row[:200])
            os.ftruncate(file, size)
        self._content.state = None  # until the bytes are on disk
        try:
            written = 0
            while written < len(line):
                written += os.pwrite(file, line[written:], size + written)
            os.fsync(file)
        except OSError:
            with contextlib.suppress(OSError):  # otherwise the next use of the file removes the half row
                os.ftruncate(file, size)
                os.fsync(file)
            raise

    def _replace(self, content: bytes) -> None:
        """Replace the file atomically, with the same owner and permissions."""
        path = self.path.resolve()
        with write_atomically(path) as partial:
            with partial.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            shutil.copymode(path, partial)
            with contextlib.suppress(PermissionError):
                os.chown(partial, path.stat().st_uid, path.stat().st_gid)
        _sync_folder(path.parent)

    @contextlib.contextmanager
    def _open_locked(self) -> Iterator[int]:
        """Open the file, which is created if necessary, and hold its lock during the `with` block.

        While this thread waits for the lock, another program can replace the file. Then the new file is opened.
        """
        for _ in range(_MAX_TRIES):
            file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o666)
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
                if self._is_current(file):
                    yield file
                    return
            finally:
                os.close(file)
        raise BlockingIOError(11, "other programs replace the file all the time")

    def _is_current(self, file: int) -> bool:
        try:
            return os.path.samestat(os.fstat(file), self.path.stat())
        except FileNotFoundError:
            return False

    def _check_writable(self) -> None:
        if not self.path.parent.is_dir():
            raise InputError(
                f"{self.path}: ratings cannot be written because the folder {self.path.parent} does not exist. Create "
                "the folder, or choose another file with --ratings."
            )
        if not os.access(self.path if self.path.exists() else self.path.parent, os.W_OK):
            raise PermissionError(13, os.strerror(13))

    def _check_other_formats(self) -> None:
        """Raise InputError if the folder already contains the ratings in another format, such as Parquet."""
        for path in sorted(self.path.parent.glob(f"{self.path.stem}.*")):
            if path != self.path and path.suffix in _OTHER_TABLE_FORMATS:
                raise self._format_error(f"{path.name} in the same folder contains the ratings")

    def _format_error(self, reason: str) -> InputError:
        return InputError(
            f"{self.path}: ratings cannot be added because {reason}. The ratings must be in a UTF-8 CSV file with "
            f"the header {','.join(COLUMNS)}. Convert the file, or choose another file with --ratings."
        )

    @contextlib.contextmanager
    def _explain_errors(self) -> Iterator[None]:
        """Convert an OSError in the `with` block to an InputError that says what to do."""
        try:
            yield
        except OSError as error:
            raise InputError(
                f"{self.path}: ratings cannot be written ({error.strerror or error}). The file must be a CSV file that "
                "you have permission to write, on a disk with free space. Change the permissions or free space, or "
                "choose another file with --ratings."
            ) from error


def _file_state(status: os.stat_result) -> FileState:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _read_all(file: int) -> bytes:
    pieces, position = [], 0
    while piece := os.pread(file, 1 << 24, position):
        pieces.append(piece)
        position += len(piece)
    return b"".join(pieces)


def _sync_folder(folder: Path) -> None:
    """Wait until the names of the files in a folder are on disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
