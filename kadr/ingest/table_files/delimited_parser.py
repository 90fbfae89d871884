"""Parse the rows of a text table with a known dialect."""

import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv

from kadr.errors import InputError
from kadr.ingest.table_files.records import Quoting, RecordPatterns, find_records
from kadr.ingest.table_files.row_shape import RowShape
from kadr.ingest.table_files.table import hash_cells
from kadr.ingest.table_files.table_lines import TableLines

logger = logging.getLogger(__name__)

_BLOCK_BYTES = 1 << 24
_MAX_BLOCK_BYTES = (1 << 31) - 1


@dataclass(frozen=True)
class DelimitedParser:
    """Parser for the rows of a text table.

    Attributes:
        path: path of the file, for messages.
        body: rows of the table in UTF-8, without the header.
        n_lines_before: number of lines before `body`.
        delimiter: character that separates the columns.
        quoting: how quotation marks are written.
        n_named: number of columns up to the last column that has a name.
        n_columns: number of columns of most rows. All columns after the first `n_named` columns must be blank.
        n_required: number of columns up to the last column that each row must have. Later cells can be left out of
            rows that look like the other rows.
        shape: shape of the rows of the table.
    """

    path: Path
    body: bytes
    n_lines_before: int
    delimiter: str
    quoting: Quoting
    n_named: int
    n_columns: int
    n_required: int
    shape: RowShape

    def parse(self, places: Sequence[int]) -> list[pa.ChunkedArray]:
        """Return the text of the columns at the given positions.

        Log the number of rows whose last cells are left out, and read these cells as blank.

        Raises:
            InputError: a row has too few or too many cells.
        """
        short: list[int] = []
        columns = self._parse_columns(places, short)
        if short:
            logger.warning(
                "%s: %s rows end before their last columns. The missing cells were read as blank. The first is %s.",
                self.path,
                f"{len(short):,}",
                self._place(short[0]),
            )
        return columns

    def _parse_columns(self, places: Sequence[int], short: list[int]) -> list[pa.ChunkedArray]:
        """Return the text of columns, and add the numbers of rows whose last cells are left out to `short`."""
        extra = [place for place in range(self.n_named, self.n_columns) if place not in places]
        names = [f"c{place}" for place in (*places, *extra)]
        ragged: list[pcsv.InvalidRow] = []
        table = self._read_csv(names, ragged)
        if ragged:
            cells = [self._repair(row, short) for row in ragged]
            numbers = np.array([row.number - 1 for row in ragged])
            repaired = {f"c{place}": [row[place] for row in cells] for place in (*places, *extra)}
            table = _insert_rows(table, pa.table(repaired, schema=table.schema), numbers)
        self._require_blank(table, names[len(places) :])
        return [table.column(name) for name in names[: len(places)]]

    def _read_csv(self, names: Sequence[str], ragged: list[pcsv.InvalidRow]) -> pa.Table:
        """Parse the columns with the given names, and add rows of other lengths to `ragged`."""
        if not self.body:
            return pa.table({name: pa.array([], pa.string()) for name in names})

        def skip_row(row: pcsv.InvalidRow) -> str:
            ragged.append(row)
            return "skip"

        return pcsv.read_csv(
            pa.BufferReader(self._escape_backslashes() if self.quoting == "backslash" else self.body),
            read_options=pcsv.ReadOptions(
                column_names=[f"c{place}" for place in range(self.n_columns)],
                use_threads=False,  # the multi-threaded reader gives no row numbers
                block_size=self._block_bytes,
            ),
            parse_options=self._parse_options(skip_row),
            convert_options=_text_columns(names),
        )

    def _parse_options(self, handler: Callable[[pcsv.InvalidRow], str]) -> pcsv.ParseOptions:
        return pcsv.ParseOptions(
            delimiter=self.delimiter,
            quote_char='"' if self.quoting != "none" else False,
            escape_char="\\" if self.quoting == "backslash" else False,
            newlines_in_values=self.quoting != "none",
            invalid_row_handler=handler,
        )

    @property
    def _block_bytes(self) -> int:
        return min(max(_BLOCK_BYTES, len(self.body) + 1), _MAX_BLOCK_BYTES)

    def hash_rows(self, rows: np.ndarray, places: Sequence[int]) -> np.ndarray:
        """Return a hash of the cells at the given positions for some rows, 0 if all cells are blank.

        Args:
            rows: sorted positions of rows.
            places: positions of columns.

        Returns:
            (n_rows,) uint64
        """
        columns = self._parse_columns(places, [])
        cells = [pc.utf8_trim_whitespace(column.take(rows)).to_pylist() for column in columns]
        return hash_cells(list(zip(*cells, strict=True)))

    def _repair(self, row: pcsv.InvalidRow, short: list[int]) -> list[str]:
        """Return the cells of a row whose surplus cells are blank, or whose last cells are left out."""
        content = self._patterns.split(row.text.encode())
        cells = [cell.decode(errors="replace") for cell in content]
        if len(cells) >= self.n_named and not any(cell.strip() for cell in cells[self.n_named :]):
            return [*cells[: self.n_named], *[""] * (self.n_columns - self.n_named)]
        if not any(cell.strip() for cell in cells):
            return [""] * self.n_columns
        if self.n_required <= len(cells) < self.n_named and self.shape.fits_cells(content):
            short.append(row.number)
            return [*cells, *[""] * (self.n_columns - len(cells))]
        raise InputError(
            f"{self._place(row.number)} has {len(cells)} columns, expected {self.n_named}: {row.text[:120]!r}. "
            "Complete the row, or quote the cell that contains the delimiter."
        )

    @property
    def _patterns(self) -> RecordPatterns:
        return RecordPatterns(self.delimiter.encode(), self.quoting)

    def _place(self, row: int) -> str:
        """Return the number of a data row and of its first line, for messages."""
        delimiter = self.delimiter.encode()
        records = find_records(TableLines(self.body), delimiter, self.quoting, RowShape(delimiter, 0, {}))
        return f"data row {row} (line {records.line(row) + self.n_lines_before})"

    def _escape_backslashes(self) -> bytes:
        """Return the body in which backslashes that escape nothing are doubled, because they are part of the text."""
        escape = re.compile(rb'\\(["\\' + re.escape(self.delimiter.encode()) + rb"])|\\")
        return escape.sub(lambda match: match[0] if match[1] else rb"\\", self.body)

    def _require_blank(self, table: pa.Table, names: Sequence[str]) -> None:
        """Raise InputError if a column without a place in the header has a value."""
        for name in names:
            filled = pc.not_equal(pc.utf8_trim_whitespace(table.column(name)), "")
            if pc.any(filled).as_py():
                row = pc.index(filled, True).as_py()
                raise InputError(
                    f"{self._place(row + 1)} has {self.n_columns} columns, expected {self.n_named}. The value "
                    f"{table.column(name)[row].as_py()[:60]!r} has no column name. Add the name to the header, or "
                    "quote the cell that contains the delimiter."
                )


def _text_columns(names: Sequence[str]) -> pcsv.ConvertOptions:
    return pcsv.ConvertOptions(
        include_columns=list(names), column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
    )


def _insert_rows(table: pa.Table, rows: pa.Table, places: np.ndarray) -> pa.Table:
    """Insert rows so that they have the given positions in the result."""
    n = len(table) + len(rows)
    order = np.empty(n, np.int64)
    is_inserted = np.zeros(n, bool)
    is_inserted[places] = True
    order[is_inserted] = len(table) + np.arange(len(rows))
    order[~is_inserted] = np.arange(len(table))
    return pa.concat_tables([table, rows]).take(order)
