"""Read text tables: CSV, TSV and TXT files."""

import functools

from kadr.errors import InputError
from kadr.ingest.table_files.content import TableContent
from kadr.ingest.table_files.delimited_parser import DelimitedParser
from kadr.ingest.table_files.dialect import Dialect, detect_dialect
from kadr.ingest.table_files.encoding import decode_text
from kadr.ingest.table_files.quoting import TableBody, detect_quoting, learn_row_start
from kadr.ingest.table_files.spaced_quotes import remove_spaces
from kadr.ingest.table_files.table import (
    ColumnChoice,
    ColumnNames,
    ParsedTable,
    Select,
    choose_columns,
    describe_missing_header,
)


class DelimitedText:
    """Reader for tables whose columns are separated by tabs, `|`, `;` or commas."""

    def read(self, content: TableContent, select: Select, names: ColumnNames | None) -> ParsedTable:
        """Read the selected columns. Detect the encoding, the delimiter and the header."""
        text = decode_text(content.path, content.read())
        dialect = detect_dialect(text, select, needs_header=names is None)
        if not any(dialect.first_row):
            raise InputError("the table is empty. Add a header and at least one row.")
        choice = dialect.choice or _choose_by_position(dialect, select, names)
        n_named = len(dialect.first_row) if dialect.choice else min(dialect.n_columns, dialect.n_filled)
        while n_named and dialect.choice and not dialect.first_row[n_named - 1]:
            n_named -= 1
        n_columns = max(len(dialect.first_row), dialect.n_columns)
        body, n_lines = text[dialect.start :], text.count(b"\n", 0, dialect.start)
        del text
        compact = remove_spaces(body, dialect.delimiter)
        if compact is not body:
            body, n_columns = compact, len(dialect.first_row)
        rows = TableBody(body, dialect.delimiter, n_columns, n_lines, header_is_quoted=dialect.is_quoted)
        quoting, n_records = detect_quoting(content.path, rows)
        required = [name for name in getattr(select, "required", ()) if name in choice.positions] or choice.positions
        n_required = 1 + max(choice.positions[name] for name in required)
        shape = learn_row_start(rows, n_required)
        parser = DelimitedParser(
            content.path, body, n_lines, dialect.delimiter, quoting, n_named, n_columns, n_required, shape
        )
        columns = parser.parse(list(choice.positions.values()))
        if n_records is not None and len(columns[0]) != n_records:
            raise InputError(
                f"the table has {n_records:,} records, but {len(columns[0]):,} rows were parsed. A row contains a "
                "carriage return without a line feed. Remove the carriage return, or quote the cell."
            )
        others = [place for place in choice.others if place < n_named]
        return ParsedTable(
            choice,
            dict(zip(choice.positions, columns, strict=True)),
            functools.partial(parser.hash_rows, places=others) if others else None,
        )


def _choose_by_position(dialect: Dialect, select: Select, names: ColumnNames | None) -> ColumnChoice:
    """Choose the columns of a table without a header.

    Raises:
        InputError: the table must have a header, or has another number of columns.
    """
    choice = None
    if names is not None:
        n_filled = min(dialect.n_columns, dialect.n_filled)
        header = names(n_filled)
        if len(header) != n_filled:
            raise InputError(
                f"the table has no header, and {n_filled} columns, expected {len(header)} "
                f"({', '.join(header)}). The first row is ({', '.join(dialect.first_row)[:300]}). Correct the "
                "columns, or add a header."
            )
        choice = choose_columns(select, header)
    if choice is None:
        raise InputError(describe_missing_header(select, dialect.first_row))
    return choice
