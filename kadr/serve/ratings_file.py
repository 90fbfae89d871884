"""The serve part's ratings: rows added to ratings_long.csv, the long form that stage ingest reads."""

import csv
import fcntl
import io
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from kadr.errors import InputError
from kadr.ingest.dialect import UTF8, look, read_cells

NAME = "ratings_long.csv"
COLUMNS = ("image", "text", "rater", "rating", "source")


@dataclass(frozen=True)
class NewRating:
    """One person's mark, from 1 (the text does not fit the photo) to 4 (it fits in all)."""

    image_id: str
    text: str
    rater: str
    rating: int


class RatingsFile:
    """The file `path`, to which ratings are added and never lost; threads and processes may add at once.

    Raises:
        InputError: the file is there in another layout, or cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = Lock()
        self._columns: tuple[str, ...] = COLUMNS
        self._rated: set[tuple[str, str, str]] = set()
        self.n = 0
        self._check()

    def has(self, rater: str, image_id: str, text: str) -> bool:
        """Whether `rater` has rated the pair."""
        return (rater, image_id, clean(text)) in self._rated

    def add(self, rating: NewRating) -> None:
        """Append a row and wait until it is on the disk. Raises InputError where it cannot be written."""
        text = clean(rating.text)
        cells = dict(zip(COLUMNS, (rating.image_id, text, rating.rater, str(rating.rating), "expert"), strict=True))
        row = _line([cells.get(column, "") for column in self._columns])
        try:
            with self._lock, self.path.open("ab+") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                file.write(self._before(file) + row)
                file.flush()
                os.fsync(file.fileno())
                self._rated.add((rating.rater, rating.image_id, text))
                self.n += 1
        except OSError as error:
            raise self._unwritable(error) from error

    def _before(self, file: io.BufferedRandom) -> bytes:
        """What has to stand before a new row: the header of an empty file, the end of a line that has none."""
        if not file.seek(0, os.SEEK_END):
            return _line(self._columns)
        file.seek(-1, os.SEEK_END)
        return b"" if file.read(1) == b"\n" else b"\n"

    def _check(self) -> None:
        """Read which pairs are rated. Raises InputError where rows of ours would not fit the file."""
        try:
            others = [path.name for path in self.path.parent.glob(f"{self.path.stem}.*") if path != self.path]
            if not os.access(self.path if self.path.exists() else self.path.parent, os.W_OK):
                raise PermissionError(13, os.strerror(13))
            if not self.path.exists() or not self.path.stat().st_size:
                if any(other.endswith((".tsv", ".txt", ".parquet")) for other in others):
                    raise self._misfit(f"{others[0]} beside it holds the ratings")
                return
            layout = look(self.path, COLUMNS[:4])
            if (layout.encoding, layout.separator, layout.has_header) != (UTF8, ",", True):
                raise self._misfit(f"its first line is ({', '.join(layout.first)})")
            self._columns = tuple(layout.first)
            with self.path.open(encoding="utf-8-sig", newline="") as file:
                rows = [dict(zip(self._columns, cells, strict=False)) for cells in read_cells(file, ",")][1:]
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise self._unwritable(error) from error
        self._rated = {
            (row["rater"], row["image"], clean(row["text"])) for row in rows if len(row) == len(self._columns)
        }
        self.n = len(rows)

    def _misfit(self, why: str) -> InputError:
        return InputError(
            f"{self.path}: ratings from the page cannot be added, because {why}; they go to a CSV file in UTF-8 with "
            f"the header {','.join(COLUMNS)}: bring the file into this form, or name another with --ratings"
        )

    def _unwritable(self, error: Exception) -> InputError:
        why = getattr(error, "strerror", None) or error
        return InputError(
            f"{self.path}: ratings cannot be written ({why}); mend its permissions, or name another file with --ratings"
        )


def clean(text: str) -> str:
    """A text without outer spaces and with single inner ones, as stage ingest keeps it."""
    return " ".join(text.split())


def _line(cells: Iterable[str]) -> bytes:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue().encode()
