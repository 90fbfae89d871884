"""Store ratings from the web page in ratings_long.csv, in the long format that the `ingest` stage reads."""

import csv
import fcntl
import io
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from kadr.errors import InputError
from kadr.ingest.dialect import UTF8, detect_dialect, read_cells
from kadr.io.texts import normalise_whitespace

REQUIRED_COLUMNS = ("image", "text", "rater", "rating")
COLUMNS = (*REQUIRED_COLUMNS, "source")

_OTHER_TABLE_FORMATS = (".tsv", ".txt", ".parquet")


@dataclass(frozen=True)
class NewRating:
    """One rater's rating of one image-text pair.

    Attributes:
        image_id: ID of the image.
        text: text that the rater compared with the image.
        rater: name of the rater.
        rating: rating from 1 (the text does not fit the image) to 4 (the text fits completely).
    """

    image_id: str
    text: str
    rater: str
    rating: int


class RatingsFile:
    """An append-only CSV file of ratings.

    Several threads and processes can append at the same time without losing rows.

    Args:
        path: path of the CSV file. If the file does not exist, it is created when the first rating is stored.

    Attributes:
        path: path of the CSV file.
        n_ratings: number of ratings in the file.

    Raises:
        InputError: the existing file has a different format, or the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = Lock()
        self._columns: tuple[str, ...] = COLUMNS
        self._rated_pairs: set[tuple[str, str, str]] = set()
        self.n_ratings = 0
        try:
            self._check_writable()
            if self._is_new():
                self._check_other_formats()
            else:
                self._load()
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise self._write_error(error) from error

    def contains(self, rater: str, image_id: str, text: str) -> bool:
        """Return whether a rater has rated an image-text pair."""
        return (rater, image_id, normalise_whitespace(text)) in self._rated_pairs

    def append(self, rating: NewRating) -> None:
        """Append a rating to the file, and wait until the rating has been written to disk.

        Args:
            rating: rating to store.

        Raises:
            InputError: the file cannot be written.
        """
        text = normalise_whitespace(rating.text)
        cells = dict(zip(COLUMNS, (rating.image_id, text, rating.rater, str(rating.rating), "expert"), strict=True))
        line = _csv_line([cells.get(column, "") for column in self._columns])
        try:
            with self._lock, self.path.open("ab+") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                file.write(self._line_prefix(file) + line)
                file.flush()
                os.fsync(file.fileno())
                self._rated_pairs.add((rating.rater, rating.image_id, text))
                self.n_ratings += 1
        except OSError as error:
            raise self._write_error(error) from error

    def _line_prefix(self, file: io.BufferedRandom) -> bytes:
        """Return the bytes to write before a new row: the header, a missing line break, or nothing."""
        if not file.seek(0, os.SEEK_END):
            return _csv_line(self._columns)
        file.seek(-1, os.SEEK_END)
        return b"" if file.read(1) == b"\n" else b"\n"

    def _check_writable(self) -> None:
        if not os.access(self.path if self.path.exists() else self.path.parent, os.W_OK):
            raise PermissionError(13, os.strerror(13))

    def _is_new(self) -> bool:
        return not self.path.exists() or not self.path.stat().st_size

    def _check_other_formats(self) -> None:
        """Raise InputError if the folder already contains the ratings in another format, such as Parquet."""
        for path in sorted(self.path.parent.glob(f"{self.path.stem}.*")):
            if path != self.path and path.suffix in _OTHER_TABLE_FORMATS:
                raise self._format_error(f"{path.name} in the same folder contains the ratings")

    def _load(self) -> None:
        """Read the column names and the rated pairs from the existing file."""
        dialect = detect_dialect(self.path, REQUIRED_COLUMNS)
        if (dialect.encoding, dialect.delimiter, dialect.has_header) != (UTF8, ",", True):
            raise self._format_error(f"its first line is ({', '.join(dialect.first_row)})")
        self._columns = tuple(dialect.first_row)
        with self.path.open(encoding="utf-8-sig", newline="") as file:
            rows = [dict(zip(self._columns, cells, strict=False)) for cells in read_cells(file, ",")][1:]
        self._rated_pairs = {
            (row["rater"], row["image"], normalise_whitespace(row["text"]))
            for row in rows
            if len(row) == len(self._columns)
        }
        self.n_ratings = len(rows)

    def _format_error(self, reason: str) -> InputError:
        return InputError(
            f"{self.path}: ratings cannot be added because {reason}. The ratings must be in a UTF-8 CSV file with "
            f"the header {','.join(COLUMNS)}. Convert the file, or choose another file with --ratings."
        )

    def _write_error(self, error: Exception) -> InputError:
        reason = getattr(error, "strerror", None) or error
        return InputError(
            f"{self.path}: ratings cannot be written ({reason}). The file must be a CSV file that you have permission "
            "to write. Change the permissions, or choose another file with --ratings."
        )


def _csv_line(cells: Iterable[str]) -> bytes:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue().encode()
