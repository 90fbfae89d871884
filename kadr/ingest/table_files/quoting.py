"""Detect from the rows of a text table how quotation marks are written."""

import io
import itertools
import logging
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kadr.errors import InputError
from kadr.ingest.table_files.records import LinePatterns, Quoting, RecordPatterns, find_records
from kadr.ingest.table_files.row_shape import RowShape
from kadr.ingest.table_files.table_lines import TableLines
from kadr.io.texts import visible

logger = logging.getLogger(__name__)

_QUOTE, _BACKSLASH = b'"', b"\\"
_ESCAPED = re.compile(rb"\\.", re.DOTALL)
_SHAPE_LINES = 2000


@dataclass(frozen=True)
class QuoteEvidence:
    """Use of quotation marks in a table.

    Attributes:
        n_records: number of records.
        n_wrapped: number of records with a quoted cell that needs no quotes.
        n_needed: number of records with a quoted cell that contains a delimiter, a line break or a quotation mark.
        n_unescaped: number of records with a quotation mark within a cell that follows no backslash.
        faults: line numbers of the records that are not valid.
        example: content of the first invalid record.
    """

    n_records: int
    n_wrapped: int
    n_needed: int
    n_unescaped: int
    faults: list[int]
    example: bytes


@dataclass(frozen=True)
class TableBody:
    """Rows of a text table whose delimiter is known.

    Attributes:
        content: rows of the table, without the header.
        delimiter: character that separates the columns.
        n_columns: number of columns.
        n_lines_before: number of lines before the rows.
        header_is_quoted: whether the header contains quotation marks.
    """

    content: bytes
    delimiter: str
    n_columns: int
    n_lines_before: int
    header_is_quoted: bool


def detect_quoting(path: Path, body: TableBody) -> tuple[Quoting, int | None]:
    """Detect how quotation marks are written in a table.

    Args:
        path: path of the file, for messages.
        body: rows of the table.

    Returns:
        How quotation marks are written, and the number of records, or None if the records were not counted.

    Raises:
        InputError: a quotation mark is not closed, and the quotation marks cannot be part of the text either.
    """
    n_quotes = body.content.count(_QUOTE)
    if not n_quotes:
        return ("backslash" if _has_escaped_delimiters(body) else "none"), None
    n_escaped = body.content.count(_BACKSLASH + _QUOTE)
    if n_quotes == n_escaped:
        return "backslash", None
    lines, delimiter = TableLines(body.content), body.delimiter.encode()
    shape = RowShape.learn(_complete_rows(body), delimiter, body.n_columns)
    if n_escaped:
        escaped = collect_evidence(lines, delimiter, "backslash", shape)
        if not escaped.faults and not escaped.n_unescaped:
            return "backslash", escaped.n_records
    doubled = collect_evidence(lines, delimiter, "doubled", shape)
    if not doubled.faults:
        return ("doubled" if _is_quoted(body, doubled) else "none"), doubled.n_records
    if doubled.n_wrapped + doubled.n_needed <= len(doubled.faults) and _lines_fit(body.content, body):
        logger.warning(
            "%s: quotation marks are read as part of the text. The number of rows with unpaired quotation marks is %s "
            "(first: line %d), and every line has %d cells if cells are not quoted.",
            path,
            f"{len(doubled.faults):,}",
            doubled.faults[0] + body.n_lines_before,
            body.n_columns,
        )
        return "none", None
    raise InputError(
        f'{path}, line {doubled.faults[0] + body.n_lines_before}: a quotation mark (") is never closed, or is not at '
        f"the end of its cell: {visible(doubled.example[:120].decode(errors='replace'))}. Expected each quoted "
        'cell to end before the next row. Close the quotation mark, or write "" for a quotation mark within a quoted '
        "cell."
    )


def collect_evidence(lines: TableLines, delimiter: bytes, quoting: Quoting, shape: RowShape) -> QuoteEvidence:
    """Count how the records of a table use quotation marks."""
    records = find_records(lines, delimiter, quoting, shape)
    patterns = LinePatterns(delimiter, quoting)
    is_line = records.starts
    for record in records.irregular:
        is_line[record.line - 1] = False
    is_needed = lines.match(patterns.needed) & is_line
    is_wrapped = lines.match(patterns.quoted) & is_line & ~is_needed
    valid = [record.content for record in records.irregular if record.is_valid]
    faults = [record for record in records.irregular if not record.is_valid]
    return QuoteEvidence(
        n_records=int(is_line.sum()) + len(records.irregular),
        n_wrapped=int(is_wrapped.sum()),
        n_needed=int(is_needed.sum()) + len(valid),
        n_unescaped=_count_unescaped(lines, is_line, valid, delimiter) if quoting == "backslash" else 0,
        faults=[record.line for record in faults],
        example=faults[0].content if faults else b"",
    )


def _count_unescaped(lines: TableLines, is_line: np.ndarray, records: Sequence[bytes], delimiter: bytes) -> int:
    """Count records with a quotation mark within a cell that follows no backslash.

    Args:
        lines: lines of the table.
        is_line: (n_lines,) bool, whether each line is a record.
        records: valid records with several lines.
        delimiter: byte that separates the columns.
    """
    patterns = LinePatterns(delimiter, "backslash")
    n_lines = int((is_line & lines.match(patterns.complete) & ~lines.match(patterns.escaped)).sum())
    cell = RecordPatterns(delimiter, "backslash").cell
    texts = [[text.strip()[1:-1] if text[:1] == _QUOTE else text for text in cell.findall(row)] for row in records]
    return n_lines + sum(any(_QUOTE in _ESCAPED.sub(b"", text) for text in row) for row in texts)


def learn_row_start(body: TableBody, n_required: int) -> RowShape:
    """Learn the content of the columns from the first rows that have the most common number of cells.

    Args:
        body: rows of the table.
        n_required: minimum number of cells of these rows.
    """
    rows = [row for row in _complete_rows(body) if len(row) >= n_required]
    n_cells, _ = Counter(map(len, rows)).most_common(1)[0] if rows else (0, 0)
    return RowShape.learn(rows, body.delimiter.encode(), n_cells)


def _is_quoted(body: TableBody, evidence: QuoteEvidence) -> bool:
    """Return whether the quotation marks of a table without faults enclose cells.

    In a tab-separated table, quotation marks around a whole cell are part of the text unless a cell needs quotes, or
    the header or every row has quotes.
    """
    if body.delimiter != "\t" or body.header_is_quoted:
        return evidence.n_wrapped + evidence.n_needed > 0
    return evidence.n_needed > 0 or 1 < evidence.n_wrapped == evidence.n_records


def _has_escaped_delimiters(body: TableBody) -> bool:
    """Return whether all lines have the same number of cells only if a delimiter after a backslash is text."""
    escaped = _BACKSLASH + body.delimiter.encode()
    if escaped not in body.content or _lines_fit(body.content, body):
        return False
    return _lines_fit(body.content.replace(_BACKSLASH * 2, b"").replace(escaped, b""), body)


def _lines_fit(content: bytes, body: TableBody) -> bool:
    """Return whether each line of the content has the same number of cells, apart from blank cells at its end."""
    delimiter = body.delimiter.encode()
    for line in io.BytesIO(content):
        cells = line.rstrip(b"\r\n")
        n_cells = cells.count(delimiter) + 1
        if not cells or n_cells == body.n_columns:
            continue
        if n_cells < body.n_columns or any(cell.strip() for cell in cells.split(delimiter)[body.n_columns :]):
            return False
    return True


def _complete_rows(body: TableBody) -> Iterator[list[bytes]]:
    """Yield the cells of lines at the beginning of a table in which all quoted cells are closed."""
    patterns = RecordPatterns(body.delimiter.encode(), "doubled")
    for line in itertools.islice(io.BytesIO(body.content), _SHAPE_LINES):
        content = line.rstrip(b"\r\n")
        if content.count(_QUOTE) % 2 == 0 and patterns.complete.fullmatch(content):
            yield patterns.split(content)
