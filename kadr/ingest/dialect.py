"""The ingest part's look at a text table before it is read: its encoding, its separator, whether it has a header."""

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

UTF8, CP1251 = "utf-8", "cp1251"
SEPARATORS = ("\t", "|", ";", ",")  # where two fit a file equally well, the first of them
_HEAD = 1 << 16  # bytes looked at for the separator
_LINES = 20
_CHUNK = 1 << 24
_CHARACTER = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")


@dataclass(frozen=True)
class Layout:
    """How a text table is laid out.

    Attributes:
        encoding: utf-8 or cp1251.
        separator: between columns. Cells may be quoted by `"`, but not in a file with tabs, where quotes are text.
        first: the stripped cells of the first line.
        has_header: whether that line names the columns.
    """

    encoding: str
    separator: str
    first: Sequence[str]
    has_header: bool

    @property
    def quotes(self) -> bool:
        """Whether cells may be quoted."""
        return self.separator != "\t"


def look(path: Path, header: Sequence[str]) -> Layout:
    """Look at a file.

    Args:
        path: the file.
        header: names that a header has among others. The separator is one by which the first line has them all; where
            there is none, the one that parts most lines into equally many columns.

    Raises:
        UnicodeDecodeError: where it is neither UTF-8 nor CP1251.
    """
    encoding = encoding_of(path)
    with path.open("rb") as file:
        head = file.read(_HEAD)
    text = head.decode("utf-8-sig" if encoding == UTF8 else encoding, errors="ignore")
    rows = {separator: _rows(text, separator, whole=len(head) < _HEAD) for separator in SEPARATORS}
    for separator, found in rows.items():
        if found and set(header) <= set(found[0]):
            return Layout(encoding, separator, found[0], has_header=True)
    separator = max(SEPARATORS, key=lambda separator: _evenness(rows[separator]))
    return Layout(encoding, separator, rows[separator][0] if rows[separator] else [], has_header=False)


def read_cells(lines: Iterable[str], separator: str) -> Iterator[list[str]]:
    """The cells of each row, quoted or not by its separator. Raises csv.Error."""
    return csv.reader(lines, delimiter=separator, quoting=csv.QUOTE_NONE if separator == "\t" else csv.QUOTE_MINIMAL)


def _rows(text: str, separator: str, *, whole: bool) -> list[list[str]]:
    """The first rows, blank lines left out; the last is left out where the text ends within it."""
    rows = []
    try:
        for row in read_cells(io.StringIO(text, newline=""), separator):
            rows.append([cell.strip() for cell in row])
            if len(rows) > _LINES:
                break
    except csv.Error:  # a cell of the whole head: an open quote, or no table; reading it says which
        return [[cell.strip() for cell in text.split("\n", 1)[0].split(separator)]]
    kept = rows if (whole or len(rows) > _LINES) else rows[:-1]
    return [row for row in kept or rows if any(row)]


def _evenness(rows: list[list[str]]) -> tuple[float, int]:
    """How many of the rows have the commonest number of columns, and that number; nothing for a single column."""
    widths = Counter(len(row) for row in rows)
    if not widths or max(widths) == 1:
        return 0.0, 0
    width, n = max(widths.items(), key=lambda item: (item[1], item[0]))
    return (n / len(rows), width) if width > 1 else (0.0, 1)


def encoding_of(path: Path) -> str:
    """`utf-8`, or `cp1251` where the bytes are not UTF-8 but can be CP1251.

    Raises:
        UnicodeDecodeError: the file is neither, or is UTF-8 with damaged places, which as CP1251 would be nonsense.
    """
    decoder = codecs.getincrementaldecoder(UTF8)()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        content = path.read_bytes()
        characters = sum(len(found) for found in _CHARACTER.findall(content))
        others = sum(content.count(byte) for byte in range(0x80, 0x100)) - characters
        if characters >= others or b"\0" in content:
            raise
        content.decode(CP1251)
        return CP1251
    return UTF8
