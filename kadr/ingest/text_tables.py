"""Read text tables and number their rows. If a table cannot be read, the error message explains why."""

import csv
import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv

from kadr.errors import InputError
from kadr.ingest.dialect import CP1251, UTF8, Dialect, detect_dialect, detect_encoding, read_cells
from kadr.io.texts import normalise_whitespace

logger = logging.getLogger(__name__)

TEXT_SUFFIXES = (".tsv", ".csv", ".txt")

ColumnNames = Callable[[int], Sequence[str]]
"""Function that takes the number of columns of a table without a header, and returns the column names."""


def read_rows(path: Path, header: Sequence[str], names: ColumnNames | None = None) -> pd.DataFrame:
    """Read a text table. Detect the encoding, the delimiter and the header. Skip blank lines.

    Args:
        path: path of a file in UTF-8, with or without a byte order mark, or in CP1251.
        header: column names that the header must contain.
        names: function that returns the column names of a table without a header. None if the table must have a header.

    Returns:
        All columns as text without surrounding spaces. The index `row` is 1 for the first row below the header.

    Raises:
        InputError: the file is missing, cannot be read, has another encoding, or has rows of different lengths.
    """
    ragged_rows: list[pcsv.InvalidRow] = []
    n_header_rows = 0
    try:
        dialect = detect_dialect(path, header)
        columns = None if dialect.has_header or names is None else names(len(dialect.first_row))
        n_header_rows = 0 if columns else 1
        table = _parse(path, dialect, columns, ragged_rows)
    except FileNotFoundError as error:
        raise InputError(f"The file {path} does not exist. Add the file, or correct ingest.source.") from error
    except OSError as error:
        raise InputError(
            f"{path}: the file cannot be read ({error.strerror or error}). Check the file permissions."
        ) from error
    except (UnicodeDecodeError, csv.Error, pa.ArrowInvalid) as error:
        raise InputError(f"{path}: {_explain(path, ragged_rows, n_header_rows, error)}") from error
    if dialect.quoted:
        _require_closed_quotes(path, table)
    if dialect.encoding != UTF8:
        logger.warning(
            "%s is not valid UTF-8 and was read as %s. Check that the texts in this file are correct.",
            path,
            dialect.encoding,
        )
    rows = pd.DataFrame(
        {name.strip(): pc.utf8_trim_whitespace(table.column(name)).to_pandas() for name in table.column_names}
    )
    rows.index = pd.RangeIndex(1, len(rows) + 1, name="row")
    return rows


def _parse(path: Path, dialect: Dialect, columns: Sequence[str] | None, ragged_rows: list[pcsv.InvalidRow]) -> pa.Table:
    """Parse all cells as strings.

    If a row has too few or too many cells, add the row to `ragged_rows` and raise ArrowInvalid.
    """
    names = columns or _read_header(path, dialect)

    def reject_row(row: pcsv.InvalidRow) -> str:
        ragged_rows.append(row)
        return "error"

    return pcsv.read_csv(
        path,
        read_options=pcsv.ReadOptions(
            column_names=columns,
            use_threads=False,  # the multi-threaded reader gives no row numbers
            encoding=dialect.encoding,
        ),
        parse_options=pcsv.ParseOptions(
            delimiter=dialect.delimiter,
            quote_char='"' if dialect.quoted else False,
            newlines_in_values=dialect.quoted,
            invalid_row_handler=reject_row,
        ),
        convert_options=pcsv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False),
    )


def find_file(folder: Path, *stems: str, suffixes: Sequence[str] = TEXT_SUFFIXES) -> Path:
    """Return the path of the file in `folder` whose name is one of the stems followed by one of the suffixes.

    If no such file exists, return the path with the first stem and the first suffix.

    Raises:
        InputError: the folder contains several matching files.
    """
    paths = [path for stem in stems for suffix in suffixes if (path := folder / f"{stem}{suffix}").is_file()]
    if len(paths) > 1:
        names = " and ".join(path.name for path in paths)
        raise InputError(f"{folder} contains {names}. Only one of these files is allowed. Remove the other files.")
    return paths[0] if paths else folder / f"{stems[0]}{suffixes[0]}"


def files_in_cp1251(folder: Path, files: Iterable[str]) -> list[str]:
    """Return the sorted names of the text files that are encoded in CP1251. Skip Parquet files."""
    text_files = sorted({file for file in files if not file.endswith(".parquet")})
    return [file for file in text_files if detect_encoding(folder / file) == CP1251]


def require_columns(path: Path, rows: pd.DataFrame, required: Iterable[str]) -> None:
    """Check that a table has the required columns.

    Raises:
        InputError: a column is missing.
    """
    names = list(required)
    missing = [name for name in names if name not in rows.columns]
    if missing:
        raise InputError(
            f"{path}: missing column {', '.join(missing)}. The header is ({', '.join(map(str, rows.columns))}), "
            f"expected ({', '.join(names)}). Add the missing columns, or rename columns in the header."
        )


def normalise_texts(texts: pd.Series) -> pd.Series:
    """Normalise the whitespace in each text. Each distinct text is processed only once."""
    distinct = {text: normalise_whitespace(text) for text in texts.unique()}
    return texts.map(distinct).astype("str")


def _read_header(path: Path, dialect: Dialect) -> list[str]:
    """Read the column names, including surrounding spaces.

    Raise InputError if the header is empty or repeats a name.
    """
    encoding = "utf-8-sig" if dialect.encoding == UTF8 else dialect.encoding
    with path.open(encoding=encoding, newline="") as file:
        names = next(read_cells(file, dialect.delimiter), [])
    if not names:
        raise InputError(f"{path}: the first line is empty. It must contain the column names. Add a header.")
    stripped = [name.strip() for name in names]
    repeated = sorted({name for name in stripped if stripped.count(name) > 1})
    if repeated:
        raise InputError(
            f"{path}: the header ({', '.join(names)}) contains {', '.join(repeated)} more than once. Column "
            "names must be unique. Rename a column."
        )
    return names


def _explain(path: Path, ragged_rows: list[pcsv.InvalidRow], n_header_rows: int, error: Exception) -> str:
    """Return an error message that explains why a file cannot be read as a table, and how to fix the file."""
    if ragged_rows:
        row = ragged_rows[0]
        return (
            f"data row {row.number - n_header_rows} has {row.actual_columns} columns, expected {row.expected_columns}: "
            f"{row.text[:120]!r}. Complete the row, or quote the cell that contains the delimiter."
        )
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as invalid:
                byte = line[invalid.start]
                return f"line {number} is neither UTF-8 nor CP1251 (byte {byte:#04x}). Save the file as UTF-8."
    if "Empty CSV" in str(error):
        return "the table has no rows. Add at least one row."
    return f"the table cannot be read ({error}). Save the table as a CSV file in UTF-8."


def _require_closed_quotes(path: Path, table: pa.Table) -> None:
    """Raise InputError if a quotation mark is never closed, so that the last cell contains the rest of the file."""
    last = table.slice(len(table) - 1).to_pylist()[0].values() if len(table) else ()
    if any("\n" in cell for cell in last) and path.read_bytes().count(b'"') % 2:
        raise InputError(
            f'{path}: a quotation mark (") in data row {len(table)} is never closed. Add the closing quotation mark, '
            'or write "" if the quotation mark is part of the text.'
        )
