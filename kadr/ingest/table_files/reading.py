"""Find and read table files of all registered kinds, and clean their cells."""

import logging
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from kadr.errors import InputError
from kadr.ingest.table_files.content import GZIP, ZIP, open_content
from kadr.ingest.table_files.encoding import UTF8, detect_encoding
from kadr.ingest.table_files.table import OTHER_COLUMNS, ColumnNames, ParsedTable, Select, TableReader, TableRows
from kadr.io.invisible_characters import INVISIBLE_PATTERN, remove_invisible
from kadr.io.texts import normalise_whitespace
from kadr.registry import Registry

logger = logging.getLogger(__name__)

TABLE_READERS: Registry[type[TableReader]] = Registry("kadr.table_readers", "suffix of the table")
"""Registry of the readers of table files, by suffix without the dot."""

TEXT_SUFFIXES = ("csv", "tsv", "txt")
"""Suffixes of text tables, without the dot."""


def table_suffixes() -> list[str]:
    """Return the suffixes of all files that `read_rows` can read. Text tables come first."""
    plain = [*TEXT_SUFFIXES, *(name for name in TABLE_READERS.names if name not in TEXT_SUFFIXES)]
    return [*(f".{name}" for name in plain), *(f".{name}{GZIP}" for name in plain), ZIP]


def is_table(path: Path) -> bool:
    """Return whether the name of a file has a suffix of a table that `read_rows` can read."""
    return path.name.lower().endswith(tuple(table_suffixes()))


def find_table(folder: Path, *stems: str) -> Path:
    """Return the path of the table in `folder` whose name is one of the stems followed by the suffix of a table.

    If no such file exists, return the path with the first stem and the suffix .csv.

    Raises:
        InputError: the folder contains several matching files.
    """
    names = [f"{stem}{suffix}" for stem in stems for suffix in table_suffixes()]
    paths = [path for name in names if (path := folder / name).is_file()]
    if len(paths) > 1:
        names = [path.name for path in paths]
        raise InputError(
            f"{folder} contains {' and '.join(names)}. Only one of these files is allowed. Remove the other files."
        )
    return paths[0] if paths else folder / names[0]


def read_rows(path: Path, select: Select, names: ColumnNames | None = None) -> TableRows:
    """Read the selected columns of a table file. The suffix of the file name determines the kind of file.

    Args:
        path: path of a CSV, TSV, Parquet, spreadsheet, JSON or JSON Lines file, or of such a file in a gzip file or a
            zip archive.
        select: function that selects the columns to read from the header.
        names: function that returns the column names of a table without a header. None if the table must have a header.

    Raises:
        InputError: the file is missing or cannot be read, a required column is missing, or rows have different lengths.
        ParamsError: the reader of the file cannot be imported.
    """
    readers = TABLE_READERS.names
    with open_content(path, readers) as content:
        if content.suffix not in readers:
            raise InputError(
                f"{path}: the suffix .{content.suffix} is not that of a table, expected one of "
                f"{', '.join(readers)}. Save the table as CSV in UTF-8."
            )
        try:
            parsed = TABLE_READERS.load(content.suffix)().read(content, select, names)
        except InputError as error:
            raise error if str(path) in str(error) else InputError(f"{path}: {error}") from error
        return _clean(path, parsed)


def _clean(path: Path, parsed: ParsedTable) -> TableRows:
    """Clean the cells, number the rows, leave out rows without a value, and add OTHER_COLUMNS."""
    rows = pd.DataFrame({name: _clean_cells(column) for name, column in parsed.columns.items()})
    numbers = pd.RangeIndex(1, len(rows) + 1) if parsed.row_numbers is None else parsed.row_numbers
    rows.index = pd.Index(numbers, name="row")
    is_blank = (rows == "").all(axis=1).to_numpy(copy=True)
    if parsed.hash_others is not None:
        others = np.zeros(len(rows), np.uint64)
        positions = np.flatnonzero(rows.duplicated(keep=False).to_numpy() | is_blank)
        if len(positions):
            others[positions] = parsed.hash_others(positions)
        is_blank &= others == 0
        rows[OTHER_COLUMNS] = others
    is_header = np.logical_and.reduce([rows[column] == name for column, name in parsed.choice.names.items()])
    if is_header.any():
        examples = ", ".join(map(str, rows.index[is_header][:5]))
        logger.warning("%s: %d rows repeat the header and were left out: %s", path, is_header.sum(), examples)
    is_left_out = is_blank | is_header
    return TableRows(rows[~is_left_out] if is_left_out.any() else rows, parsed.choice.names, parsed.choice.unread)


def _clean_cells(column: pa.ChunkedArray | pa.Array) -> pd.Series:
    """Remove invisible characters and surrounding spaces from the cells of a column. Nulls become ""."""
    filled = pc.fill_null(pa.chunked_array([column]) if isinstance(column, pa.Array) else column, "")
    has_invisible = pc.match_substring_regex(filled, INVISIBLE_PATTERN).to_numpy()
    cells: pd.Series = pc.utf8_trim_whitespace(filled).to_pandas().astype("str")
    if has_invisible.any():
        cells[has_invisible] = [remove_invisible(cell).strip() for cell in cells[has_invisible]]
    return cells


def normalise_texts(texts: pd.Series) -> pd.Series:
    """Normalise the whitespace in each text. Each distinct text is processed only once."""
    distinct = {text: normalise_whitespace(text) for text in texts.unique()}
    return texts.map(distinct).astype("str")


def text_file_encodings(folder: Path, files: Iterable[str]) -> dict[str, str]:
    """Return the encoding of each text table that is not encoded in UTF-8, by file name, sorted."""
    encodings = {}
    for file in sorted(set(files)):
        with open_content(folder / file, TABLE_READERS.names) as content:
            if content.suffix in TEXT_SUFFIXES:
                encodings[file], _ = detect_encoding(content.path, content.read())
    return {file: encoding for file, encoding in encodings.items() if encoding != UTF8}
