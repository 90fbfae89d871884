"""Recognise lines that look like rows of a text table."""

import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_NUMBER = re.compile(rb"[-+]?\d+([.,]\d+)?%?")
_FILE_NAME = re.compile(rb".*\.\w{3,4}(#\d+)?")
_WORD = re.compile(rb"\S+")
_CONTENTS = (_NUMBER, _FILE_NAME, _WORD)
_MAX_ROWS = 200


@dataclass(frozen=True)
class RowShape:
    """Number of columns of a table, and the content that all cells of a column have in common.

    Attributes:
        delimiter: byte that separates the columns.
        n_columns: number of columns.
        contents: pattern that fits all cells of a column that are not blank, by the position of the column.
    """

    delimiter: bytes
    n_columns: int
    contents: dict[int, re.Pattern[bytes]]

    @classmethod
    def learn(cls, rows: Iterable[Sequence[bytes]], delimiter: bytes, n_columns: int) -> "RowShape":
        """Learn the shape from the cells of complete rows."""
        complete = list(itertools.islice((row for row in rows if len(row) == n_columns), _MAX_ROWS))
        contents = {}
        for place in range(n_columns):
            column = [cell for row in complete if (cell := row[place].strip())]
            fitting = [pattern for pattern in _CONTENTS if column and all(map(pattern.fullmatch, column))]
            if fitting:
                contents[place] = fitting[0]
        return cls(delimiter, n_columns, contents)

    def fits(self, line: bytes) -> bool:
        """Return whether a line looks like a row if its quotation marks are part of the text.

        Without columns of similar cells, nothing distinguishes a row from a line of a text.
        """
        if not self.contents or line.count(self.delimiter) + 1 != self.n_columns:
            return False
        return self.fits_cells(line.split(self.delimiter))

    def fits_cells(self, cells: Sequence[bytes]) -> bool:
        """Return whether the cells look like the first cells of a row. At least one cell must be recognisable."""
        known = {place: pattern for place, pattern in self.contents.items() if place < len(cells)}
        return bool(known) and all(
            pattern.fullmatch(cell) for place, pattern in known.items() if (cell := cells[place].strip(b' "\r'))
        )
