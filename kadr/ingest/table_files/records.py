"""Split a text table into records: rows whose quoted cells can contain delimiters and line breaks."""

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np

from kadr.ingest.table_files.row_shape import RowShape
from kadr.ingest.table_files.table_lines import TableLines

Quoting = Literal["none", "doubled", "backslash"]
"""How a quotation mark is written: as part of the text, doubled in a quoted cell, or after a backslash."""

MAX_ROW_LINES = 2
"""Maximum number of lines in a quoted cell that look like rows of the table."""


_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)
_HAS_QUOTE, _BLANK = rb'[^"]*".*', rb""


@dataclass(frozen=True)
class Record:
    """One record of a text table.

    Attributes:
        line: number of the first line, starting at 1.
        n_lines: number of lines.
        content: bytes of the record, without the last line break.
        is_valid: False if a quoted cell is not closed, is followed by other text, or contains lines that look like
            rows.
    """

    line: int
    n_lines: int
    content: bytes
    is_valid: bool


@dataclass(frozen=True)
class TableRecords:
    """Records of a text table. Blank lines are no records.

    Attributes:
        starts: (n_lines,) bool, whether each line is the first line of a record.
        irregular: records with several lines, and records that are not valid. All others are lines with closed cells.
    """

    starts: np.ndarray
    irregular: list[Record]

    def line(self, number: int) -> int:
        """Return the number of the first line of a record, or of the last record. Both are counted from 1."""
        lines = np.flatnonzero(self.starts) + 1
        return int(lines[min(number, len(lines)) - 1]) if len(lines) else 1


class RecordPatterns:
    """Regular expressions for the cells and lines of a table.

    Args:
        delimiter: byte that separates the columns.
        quoting: how quotation marks are written.
    """

    def __init__(self, delimiter: bytes, quoting: Quoting) -> None:
        d = re.escape(delimiter)
        self.quoting = quoting
        if quoting == "backslash":
            inside, unquoted = rb'(?:[^"\\]++|\\.|"")*+', rb'(?:(?!")(?:[^\\' + d + rb"]++|\\.)++)?+"
        else:
            inside, unquoted = rb'(?:[^"]++|"")*+', rb'(?:(?!")[^' + d + rb"]++)?+"
        quoted = rb'"' + inside + rb'" *+'
        if quoting == "none":
            quoted, unquoted = rb"(?!)", rb"[^" + d + rb"]*+"
        cell = rb"(?:" + quoted + rb"|" + unquoted + rb")"
        rest = rb"(?:" + d + cell + rb")*+"
        opened = rb"(?:" + cell + d + rb')*"' + inside
        self.cell = re.compile(rb"(?:^|" + d + rb")(" + cell + rb")", re.DOTALL)
        self.complete = re.compile(cell + rest, re.DOTALL)
        self.opened = re.compile(opened, re.DOTALL)
        self.inside = re.compile(inside, re.DOTALL)
        self.closed = re.compile(inside + rb'" *+' + rest, re.DOTALL)
        self.reopened = re.compile(inside + rb'" *+' + d + opened, re.DOTALL)

    def split(self, record: bytes) -> list[bytes]:
        """Split a record into cells, and remove the quotation marks around cells."""
        cells = [match[1] for match in self.cell.finditer(record)]
        bare = [cell.strip()[1:-1].replace(b'""', b'"') if cell.startswith(b'"') else cell for cell in cells]
        return [_ESCAPE.sub(rb"\1", cell) for cell in bare] if self.quoting == "backslash" else bare


class LinePatterns:
    """Regular expressions of RE2 for whole lines whose quoted cells are closed.

    Args:
        delimiter: byte that separates the columns.
        quoting: how quotation marks are written.
    """

    def __init__(self, delimiter: bytes, quoting: Quoting) -> None:
        d = re.escape(delimiter)
        escaped = rb"|\\[^\r\n]" if quoting == "backslash" else b""
        plain = rb"\\" if quoting == "backslash" else b""
        inside = rb'(?:[^"' + plain + rb']|""' + escaped + rb")*"
        unquoted = rb'(?:[^"' + plain + d + rb"]" + escaped + rb")(?:[^" + plain + d + rb"]" + escaped + rb")*"
        cell = rb'(?:"' + inside + rb'" *|' + unquoted + rb"|)"
        before, after = rb"(?:" + cell + d + rb")*", rb"(?:" + d + cell + rb")*"
        special = rb'(?:""|' + d + (rb'|\\["' + d + rb"]" if quoting == "backslash" else b"") + rb")"
        in_quotes, bare = (
            rb'(?:[^"' + plain + rb"]" + escaped + rb")*",
            rb'(?:[^"' + plain + d + rb"]" + escaped + rb")*",
        )
        escaped_only = rb'(?:"' + in_quotes + rb'" *|' + bare + rb")"
        self.complete = cell + after
        """Line whose quoted cells are all closed."""
        self.quoted = before + rb'"' + inside + rb'" *' + after
        """Complete line with a quoted cell."""
        self.needed = before + rb'"' + inside + special + inside + rb'" *' + after
        """Complete line with a quoted cell that contains a delimiter or a quotation mark."""
        self.spaced = before + rb' +"' + inside + rb'" *(?:' + d + rb".*)?"
        """Line with a cell that has spaces before its quotation marks."""
        self.escaped = escaped_only + rb"(?:" + d + escaped_only + rb")*"
        """Complete line in which each quotation mark within a cell follows a backslash."""


def find_records(lines: TableLines, delimiter: bytes, quoting: Quoting, shape: RowShape) -> TableRecords:
    """Find the records of a table. After an invalid record, the next record begins on the next line.

    Args:
        lines: lines of the table.
        delimiter: byte that separates the columns.
        quoting: how quotation marks are written.
        shape: shape of the rows of the table.
    """
    starts = ~lines.match(_BLANK)
    if quoting == "none":
        return TableRecords(starts, [])
    patterns = RecordPatterns(delimiter, quoting)
    is_open = lines.match(_HAS_QUOTE) & ~lines.match(LinePatterns(delimiter, quoting).complete)
    irregular: list[Record] = []
    end = 0
    for first in np.flatnonzero(is_open).tolist():
        if first < end:
            continue
        end = _find_end(lines, first, patterns, shape)
        starts[first + 1 : end] = False
        content = lines.join(first, max(end, first + 1)).rstrip(b"\r\n")
        irregular.append(Record(first + 1, max(end - first, 1), content, is_valid=end > first))
    return TableRecords(starts, irregular)


def _find_end(lines: TableLines, first: int, patterns: RecordPatterns, shape: RowShape) -> int:
    """Return the position after the last line of the record that begins on line `first`.

    Return `first` if the record is not valid.
    """
    content = lines[first].rstrip(b"\r\n")
    if not patterns.opened.fullmatch(content):
        return first
    n_fitting = int(shape.fits(content))
    for position in range(first + 1, len(lines)):
        content = lines[position].rstrip(b"\r\n")
        n_fitting += shape.fits(content)
        if patterns.closed.fullmatch(content):
            is_valid = n_fitting < position + 1 - first and n_fitting <= MAX_ROW_LINES
            return position + 1 if is_valid else first
        if n_fitting > MAX_ROW_LINES or not (
            patterns.inside.fullmatch(content) or patterns.reopened.fullmatch(content)
        ):
            return first
    return first
