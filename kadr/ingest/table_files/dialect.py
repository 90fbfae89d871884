"""Detect the delimiter and the header of a text table."""

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from kadr.ingest.table_files.table import ColumnChoice, Select, choose_columns

DELIMITERS = ("\t", "|", ";", ",")
"""Supported delimiters.

If several delimiters fit a file equally well, the delimiter that comes first in this tuple is used.
"""

_SAMPLE_BYTES = 1 << 16
_SAMPLE_ROWS = 20
_MAX_TITLE_ROWS = 10
_SEPARATOR_LINE = re.compile(rb'"?sep=(.)"?[;,\t]*\r?\n', re.IGNORECASE)
_LINE_BREAK = re.compile(rb"\r\n|\n|\r")
_BOM = codecs.BOM_UTF8


@dataclass(frozen=True)
class Dialect:
    """Delimiter and header of a text table.

    Attributes:
        delimiter: character that separates the columns.
        first_row: cells of the first row, without surrounding spaces.
        choice: columns that were selected from the header. None if the table has no header.
        start: position of the first byte below the header.
        header_line: number of the line with the header, starting at 1.
        n_columns: number of columns of most rows.
        n_filled: number of columns up to the last column that has a value in the first rows.
        is_quoted: whether the header contains quotation marks.
    """

    delimiter: str
    first_row: Sequence[str]
    choice: ColumnChoice | None
    start: int
    header_line: int
    n_columns: int
    n_filled: int
    is_quoted: bool


def detect_dialect(content: bytes, select: Select, *, needs_header: bool) -> Dialect:
    """Detect the dialect of a text table from its first rows.

    If a delimiter splits a row at the beginning of the table into cells from which `select` can select columns, this
    row is the header. Otherwise the table has no header, and the delimiter that splits the most rows into the same
    number of columns is selected.

    Args:
        content: the table in UTF-8.
        select: function that selects columns from the header.
        needs_header: search the header not only in the first row, but also in the rows below it.

    Raises:
        InputError: the header is ambiguous.
    """
    start, delimiters = _skip_preamble(content)
    sample = _read_sample(content, start)
    rows = {delimiter: _sample_rows(sample, delimiter) for delimiter in delimiters}
    for delimiter, sample_rows in rows.items():
        for row, n_lines in sample_rows[: _MAX_TITLE_ROWS if needs_header else 1]:
            if choice := choose_columns(select, row):
                below = _skip_lines(content, start, n_lines)
                line = content.count(b"\n", 0, max(below - 1, 0)) + 1
                is_quoted = b'"' in content[start:below]
                return Dialect(delimiter, row, choice, below, line, *_count_columns(sample_rows), is_quoted=is_quoted)
    delimiter = max(delimiters, key=lambda delimiter: _column_consistency([row for row, _ in rows[delimiter]]))
    cells = [row for row, _ in rows[delimiter]]
    return Dialect(
        delimiter, cells[0] if cells else [], None, start, 0, *_count_columns(rows[delimiter]), is_quoted=False
    )


def _skip_preamble(content: bytes) -> tuple[int, Sequence[str]]:
    """Return the position after byte order marks and Excel's line `sep=;`, and the possible delimiters."""
    start = 0
    while content.startswith(_BOM, start):
        start += len(_BOM)
    line = _SEPARATOR_LINE.match(content, start)
    if line is None:
        return start, DELIMITERS
    return line.end(), [line[1].decode("ascii", errors="replace")]


def _read_sample(content: bytes, start: int) -> str:
    """Return the first lines of the content: 64 kB, or one line if the line is longer."""
    end = min(start + _SAMPLE_BYTES, len(content))
    if end < len(content):
        end = content.rfind(b"\n", start, end) + 1 or content.find(b"\n", end) + 1 or len(content)
    return content[start:end].decode("utf-8", errors="replace")


def _sample_rows(text: str, delimiter: str) -> list[tuple[list[str], int]]:
    """Return the first non-blank rows of a sample, and the number of the last line of each row."""
    rows: list[tuple[list[str], int]] = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                rows.append(([cell.strip() for cell in row], reader.line_num))
            if len(rows) > _SAMPLE_ROWS:
                break
    except csv.Error:  # a cell is larger than the limit of the csv module
        pass
    return rows or [([cell.strip() for cell in text.split("\n", 1)[0].split(delimiter)], 1)]


def _skip_lines(content: bytes, start: int, n_lines: int) -> int:
    """Return the position after `n_lines` lines."""
    for _ in range(n_lines):
        line_break = _LINE_BREAK.search(content, start)
        if line_break is None:
            return len(content)
        start = line_break.end()
    return start


def _common_width(rows: Sequence[Sequence[str]]) -> int:
    """Return the most common number of cells. If several numbers are equally common, return the largest."""
    widths = Counter(map(len, rows))
    return max(widths, key=lambda width: (widths[width], width), default=0)


def _count_columns(rows: Sequence[tuple[list[str], int]]) -> tuple[int, int]:
    """Return the number of columns of most rows, and the number of columns up to the last column with a value."""
    filled = [place for row, _ in rows for place, cell in enumerate(row, 1) if cell]
    return _common_width([row for row, _ in rows]), max(filled, default=0)


def _column_consistency(rows: Sequence[Sequence[str]]) -> tuple[float, int]:
    """Find the most common number of columns. Return the share of rows that have this number, and the number."""
    width = _common_width(rows)
    if not rows or max(map(len, rows)) == 1:
        return 0.0, 0
    return (sum(len(row) == width for row in rows) / len(rows), width) if width > 1 else (0.0, 1)
