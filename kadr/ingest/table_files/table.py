"""Selected columns of a table file, before and after their cells are cleaned."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pandas as pd
import pyarrow as pa

from kadr.errors import InputError
from kadr.ingest.columns import missing_columns
from kadr.ingest.table_files.content import TableContent
from kadr.io.texts import normalise_whitespace

OTHER_COLUMNS = "other_columns"
"""Column with a fingerprint of the cells that were not read. Only in the rows of files that have such cells.

The fingerprint is computed only for rows that are equal in all read columns, and is 0 in all other rows. Therefore
rows that are equal in all columns of `TableRows.rows` are equal in all columns of the file.
"""

Select = Callable[[Sequence[str]], Mapping[str, str] | None]
"""Function that selects the columns to read.

It takes the cells of a header, and returns the header cell of each canonical column, or None if the row is not the
header of this table. If the function has an attribute `required` with the names of the required columns, as
`kadr.ingest.columns.Columns` has, error messages name the missing columns.
"""

ColumnNames = Callable[[int], Sequence[str]]
"""Function that takes the number of columns of a table without a header, and returns the column names."""


HashRows = Callable[[np.ndarray], np.ndarray]
"""Function that takes the sorted positions of rows, and returns a hash of some cells of each row: (n_rows,) uint64."""


@dataclass(frozen=True)
class TableRows:
    """Selected columns of a table file.

    Attributes:
        rows: canonical columns. All cells are text without surrounding spaces, "" if blank. The index `row` is 1 for
            the first row below the header. Rows without any value are left out. The column OTHER_COLUMNS is added if
            the file has other columns.
        column_names: name of each canonical column in the file.
        unread: names of the columns that were not read.
    """

    rows: pd.DataFrame
    column_names: dict[str, str]
    unread: list[str]


@dataclass(frozen=True)
class ColumnChoice:
    """Positions of the selected columns in a header.

    Attributes:
        names: canonical name -> name in the file.
        positions: canonical name -> position of the column in the file.
        others: positions of all other columns.
        unread: names of the other columns that have a name.
    """

    names: dict[str, str]
    positions: dict[str, int]
    others: list[int]
    unread: list[str]


@dataclass(frozen=True)
class ParsedTable:
    """Selected columns of a table file, as a reader returns them.

    Attributes:
        choice: selected columns.
        columns: text of the selected columns, by canonical name. Nulls are blank cells.
        hash_others: function that takes the positions of rows and returns a hash of the other cells of each row as
            uint64, 0 if these cells are blank. None if there are no other columns.
        row_numbers: number of each row in the file, if the numbers are not 1, 2, 3 and so on.
    """

    choice: ColumnChoice
    columns: Mapping[str, pa.ChunkedArray | pa.Array]
    hash_others: HashRows | None
    row_numbers: np.ndarray | None = field(default=None)


class TableReader(Protocol):
    """Interface that a class must implement to read table files of one kind.

    To add a kind of file, write a class that implements this interface, and register the class in the entry point group
    `kadr.table_readers` under the suffix of the files, without the dot.
    """

    def read(self, content: TableContent, select: Select, names: ColumnNames | None) -> ParsedTable:
        """Read the selected columns of a file.

        Args:
            content: opened file, decompressed.
            select: function that selects the columns from the header.
            names: function that returns the column names of a table without a header. None if a header is required.

        Raises:
            InputError: the file cannot be read, or has no header from which `select` can select columns.
        """
        ...


def choose_columns(select: Select, header: Sequence[str]) -> ColumnChoice | None:
    """Select columns from a header. Return None if the row is not a header of the table.

    Raises:
        InputError: two columns have the name of the same selected column.
    """
    cells = [normalise_whitespace(cell) for cell in header]
    selected = select(cells)
    if selected is None:
        return None
    positions: dict[str, int] = {}
    for canonical, name in selected.items():
        places = [place for place, cell in enumerate(cells) if cell == name]
        if len(places) != 1:
            raise InputError(
                f"the header ({', '.join(cells)}) contains {name} more than once (columns "
                f"{' and '.join(str(place + 1) for place in places)}). Column names that are read must be unique. "
                "Rename a column."
            )
        positions[canonical] = places[0]
    others = [place for place in range(len(cells)) if place not in positions.values()]
    return ColumnChoice(dict(selected), positions, others, [cells[place] for place in others if cells[place]])


def describe_missing_header(select: Select, first_row: Sequence[str]) -> str:
    """Return an error message for a table whose header does not contain the required columns."""
    cells = [normalise_whitespace(cell) for cell in first_row]
    required = getattr(select, "required", ())
    missing = missing_columns(cells, required)
    problem = f"missing column {', '.join(missing)}" if missing else "the columns are not those of this table"
    expected = f", expected ({', '.join(required)})" if required else ""
    return (
        f"{problem}. The header is ({', '.join(cells)[:500]}){expected}. Add the missing columns, or rename "
        "columns in the header."
    )


def hash_cells(rows: Sequence[Sequence[str]]) -> np.ndarray:
    """Return a hash of each row of cells, 0 if all cells of the row are blank.

    Returns:
        (n_rows,) uint64
    """
    texts = pd.Series(["\0".join(row) if any(cell.strip() for cell in row) else "" for row in rows], dtype="str")
    hashes = pd.util.hash_pandas_object(texts, index=False).to_numpy()
    return np.where(texts == "", np.uint64(0), hashes)
