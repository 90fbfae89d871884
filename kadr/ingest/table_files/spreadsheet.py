"""Read tables from Excel and OpenDocument spreadsheets."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from kadr.errors import InputError
from kadr.ingest.table_files.content import TableContent
from kadr.ingest.table_files.table import (
    ColumnChoice,
    ColumnNames,
    ParsedTable,
    Select,
    choose_columns,
    describe_missing_header,
    hash_cells,
)

_MAX_TITLE_ROWS = 10
"""Number of rows in which the header is searched."""


class Spreadsheet:
    """Reader for .xlsx, .xls and .ods files. Reads the first sheet that has the wanted header."""

    def read(self, content: TableContent, select: Select, names: ColumnNames | None) -> ParsedTable:
        """Read the selected columns. Numbers become text as a spreadsheet shows them, and dates become ISO 8601."""
        try:
            from python_calamine import CalamineError, CalamineWorkbook
        except ModuleNotFoundError as error:
            raise InputError(
                f"{content.path}: reading spreadsheets requires the package python-calamine. Install the package: "
                "pip install 'kadr[pipeline]'. Or save the table as CSV in UTF-8."
            ) from error
        first_row: list[str] = []
        try:
            with content.open() as file, CalamineWorkbook.from_filelike(file) as workbook:
                for sheet in workbook.sheet_names:
                    rows = [[cell_text(cell) for cell in row] for row in workbook.get_sheet_by_name(sheet).to_python()]
                    first_row = first_row or next((row for row in rows if any(row)), [])
                    for position, row in enumerate(rows[:_MAX_TITLE_ROWS]):
                        if any(row) and (choice := choose_columns(select, row)):
                            return _select_cells(rows[position + 1 :], choice)
                    if names and rows and (choice := choose_columns(select, names(len(rows[0])))):
                        return _select_cells(rows, choice)
        except CalamineError as error:
            raise InputError(
                f"{content.path}: the spreadsheet cannot be read ({error}). Expected an .xlsx, .xls or .ods file "
                "without a password. Save the table again, or save it as CSV in UTF-8."
            ) from error
        raise InputError(f"{content.path}: {describe_missing_header(select, first_row)}")


def _select_cells(rows: Sequence[Sequence[str]], choice: ColumnChoice) -> ParsedTable:
    others = [place for place in choice.others if any(place < len(row) and row[place] for row in rows)]

    def cell(row: Sequence[str], place: int) -> str:
        return row[place] if place < len(row) else ""

    columns = {
        name: pa.array([cell(row, place) for row in rows], pa.string()) for name, place in choice.positions.items()
    }

    def hash_others(positions: np.ndarray) -> np.ndarray:
        return hash_cells([[cell(rows[position], place) for place in others] for position in positions])

    return ParsedTable(choice, columns, hash_others if others else None)


def cell_text(cell: Any) -> str:
    """Return a cell as a spreadsheet shows it.

    >>> cell_text(4.0), cell_text(0.1 + 0.2), cell_text(dt.date(2024, 5, 1)), cell_text(True)
    ('4', '0.3', '2024-05-01', 'TRUE')
    """
    if isinstance(cell, bool):
        return str(cell).upper()
    if isinstance(cell, float):
        return f"{cell:.15g}"
    if isinstance(cell, dt.datetime | dt.date | dt.time):
        return cell.isoformat()
    return str(cell)
