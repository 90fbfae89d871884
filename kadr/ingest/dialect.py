"""Detect the encoding, the delimiter and the header of a text table before it is read."""

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

UTF8, CP1251 = "utf-8", "cp1251"
DELIMITERS = ("\t", "|", ";", ",")
"""Supported delimiters.

If several delimiters fit a file equally well, the delimiter that comes first in this tuple is used.
"""

_SAMPLE_BYTES = 1 << 16
_SAMPLE_ROWS = 20
_CHUNK_BYTES = 1 << 24
_MULTIBYTE_CHARACTER = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")


@dataclass(frozen=True)
class Dialect:
    """Encoding, delimiter and header of a text table.

    Attributes:
        encoding: utf-8 or cp1251.
        delimiter: character that separates the columns.
        first_row: cells of the first row, without surrounding spaces.
        has_header: whether the first row contains the column names.
    """

    encoding: str
    delimiter: str
    first_row: Sequence[str]
    has_header: bool

    @property
    def quoted(self) -> bool:
        """Whether cells can be quoted with `"`. In a tab-separated table, quotation marks are part of the text."""
        return self.delimiter != "\t"


def detect_dialect(path: Path, header: Sequence[str]) -> Dialect:
    """Detect the dialect of a text table from its first 64 kB.

    Args:
        path: path of the table.
        header: column names that a header of this table must contain. If a delimiter splits the first row into cells
            that include all of these names, the table has a header and uses this delimiter. If there is no such
            delimiter, the table has no header, and the delimiter that splits the most rows into the same number of
            columns is selected.

    Raises:
        UnicodeDecodeError: the file is neither UTF-8 nor CP1251.
    """
    encoding = detect_encoding(path)
    with path.open("rb") as file:
        sample = file.read(_SAMPLE_BYTES)
    text = sample.decode("utf-8-sig" if encoding == UTF8 else encoding, errors="ignore")
    is_complete = len(sample) < _SAMPLE_BYTES
    rows = {delimiter: _sample_rows(text, delimiter, is_complete=is_complete) for delimiter in DELIMITERS}
    for delimiter, sample_rows in rows.items():
        if sample_rows and set(header) <= set(sample_rows[0]):
            return Dialect(encoding, delimiter, sample_rows[0], has_header=True)
    delimiter = max(DELIMITERS, key=lambda delimiter: _column_consistency(rows[delimiter]))
    return Dialect(encoding, delimiter, rows[delimiter][0] if rows[delimiter] else [], has_header=False)


def read_cells(lines: Iterable[str], delimiter: str) -> Iterator[list[str]]:
    """Split lines into rows, and yield each row as a list of cells.

    Raises:
        csv.Error: a row cannot be split into cells.
    """
    return csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL)


def _sample_rows(text: str, delimiter: str, *, is_complete: bool) -> list[list[str]]:
    """Return the first non-blank rows of a sample.

    If the sample is only the beginning of a file, drop the last row, which may be incomplete.
    """
    rows = []
    try:
        for row in read_cells(io.StringIO(text, newline=""), delimiter):
            rows.append([cell.strip() for cell in row])
            if len(rows) > _SAMPLE_ROWS:
                break
    except csv.Error:  # a quote is never closed: `read_rows` reports the error
        return [[cell.strip() for cell in text.split("\n", 1)[0].split(delimiter)]]
    complete_rows = rows if (is_complete or len(rows) > _SAMPLE_ROWS) else rows[:-1]
    return [row for row in complete_rows or rows if any(row)]


def _column_consistency(rows: list[list[str]]) -> tuple[float, int]:
    """Find the most common number of columns. Return the share of rows that have this number, and the number."""
    widths = Counter(len(row) for row in rows)
    if not widths or max(widths) == 1:
        return 0.0, 0
    width, n_rows = max(widths.items(), key=lambda item: (item[1], item[0]))
    return (n_rows / len(rows), width) if width > 1 else (0.0, 1)


def detect_encoding(path: Path) -> str:
    """Return `utf-8`, or `cp1251` if the file is valid CP1251 but not valid UTF-8.

    The charset-normalizer library is less accurate for this task. In a test with 100 CP1251 tables of 1 to 300 rows
    each, the library detected the encoding of only 65 tables. When restricted to UTF-8 and CP1251, the library mistook
    28 of 100 damaged UTF-8 tables for CP1251. This function detected all CP1251 tables and mistook one damaged UTF-8
    table for CP1251.

    Raises:
        UnicodeDecodeError: the file has another encoding, or is a UTF-8 file with damaged characters. A damaged UTF-8
            file is not read as CP1251, because its texts would be garbled.
    """
    decoder = codecs.getincrementaldecoder(UTF8)()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        content = path.read_bytes()
        n_in_characters = sum(len(character) for character in _MULTIBYTE_CHARACTER.findall(content))
        n_others = sum(content.count(byte) for byte in range(0x80, 0x100)) - n_in_characters
        if n_in_characters >= n_others or b"\0" in content:
            raise
        content.decode(CP1251)
        return CP1251
    return UTF8
