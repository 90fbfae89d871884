"""The ingest part's reading of text tables: stripped cells, numbered rows, explained failures."""

import csv
import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv

from kadr.errors import InputError
from kadr.ingest.dialect import CP1251, UTF8, Layout, encoding_of, look, read_cells

logger = logging.getLogger(__name__)

TEXT_ENDINGS = (".tsv", ".csv", ".txt")

Names = Callable[[int], Sequence[str]]


def read_rows(path: Path, header: Sequence[str], names: Names | None = None) -> pd.DataFrame:
    """Read a table of text; blank lines are skipped. Separator, encoding and header are found by looking (`look`).

    Args:
        path: the file, UTF-8 with or without a byte order mark, or CP1251.
        header: names that its header has among others.
        names: number of columns -> their names where there is no header; None where a header has to be.

    Returns:
        All columns as stripped text; index `row`, 1-based, header not counted.

    Raises:
        InputError: where the file is missing, unreadable, in another encoding, or has a row of another length.
    """
    ragged: list[pcsv.InvalidRow] = []
    n_header = 0
    try:
        layout = look(path, header)
        columns = None if layout.has_header or names is None else names(len(layout.first))
        n_header = 0 if columns else 1
        table = _parse(path, layout, columns, ragged)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; put it there, or name the right folder in ingest.source") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}); mend its permissions") from error
    except (UnicodeDecodeError, csv.Error, pa.ArrowInvalid) as error:
        raise InputError(f"{path}: {_reason(path, ragged, n_header, error)}") from error
    if layout.quotes:
        _check_quotes_close(path, table)
    if layout.encoding != UTF8:
        logger.warning("%s is not UTF-8 and was read as %s; look whether its texts are right", path, layout.encoding)
    rows = pd.DataFrame(
        {name.strip(): pc.utf8_trim_whitespace(table.column(name)).to_pandas() for name in table.column_names}
    )
    rows.index = pd.RangeIndex(1, len(rows) + 1, name="row")
    return rows


def _parse(path: Path, layout: Layout, columns: Sequence[str] | None, ragged: list[pcsv.InvalidRow]) -> pa.Table:
    """The table as strings; a row of another length is an error and is put into `ragged`."""
    names = columns or _header(path, layout)

    def stop(row: pcsv.InvalidRow) -> str:
        ragged.append(row)
        return "error"

    return pcsv.read_csv(
        path,
        read_options=pcsv.ReadOptions(
            column_names=columns,
            use_threads=False,  # in threads it counts no rows
            encoding=layout.encoding,
        ),
        parse_options=pcsv.ParseOptions(
            delimiter=layout.separator,
            quote_char='"' if layout.quotes else False,
            newlines_in_values=layout.quotes,
            invalid_row_handler=stop,
        ),
        convert_options=pcsv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False),
    )


def find_file(source: Path, *stems: str, endings: Sequence[str] = TEXT_ENDINGS) -> Path:
    """The one file of these stems and endings in `source`; where there is none, the path that it should have.

    Raises:
        InputError: where there are two.
    """
    found = [path for stem in stems for ending in endings if (path := source / f"{stem}{ending}").is_file()]
    if len(found) > 1:
        raise InputError(f"{source}: {' and '.join(path.name for path in found)} are both there; remove one")
    return found[0] if found else source / f"{stems[0]}{endings[0]}"


def files_in_cp1251(source: Path, files: Iterable[str]) -> list[str]:
    """Those of the text files that were read as CP1251, sorted; Parquet is no text."""
    texts = sorted({file for file in files if not file.endswith(".parquet")})
    return [file for file in texts if encoding_of(source / file) == CP1251]


def require_columns(path: Path, rows: pd.DataFrame, wanted: Iterable[str]) -> None:
    """Raise InputError that names the columns of `wanted` which the file does not have."""
    missing = [name for name in wanted if name not in rows.columns]
    if missing:
        raise InputError(
            f"{path}: no column {', '.join(missing)}; the header is ({', '.join(map(str, rows.columns))}), "
            f"wanted ({', '.join(wanted)}). Name the columns so in the first line"
        )


def normalise_texts(texts: pd.Series) -> pd.Series:
    """Texts without outer spaces and with single inner ones."""
    distinct = {text: " ".join(text.split()) for text in texts.unique()}
    return texts.map(distinct).astype("str")


def _header(path: Path, layout: Layout) -> list[str]:
    """The header's names as they stand in the file."""
    encoding = "utf-8-sig" if layout.encoding == UTF8 else layout.encoding
    with path.open(encoding=encoding, newline="") as file:
        names = next(read_cells(file, layout.separator), [])
    if not names:
        raise InputError(f"{path}: the first line is empty, wanted the columns' names")
    stripped = [name.strip() for name in names]
    twice = sorted({name for name in stripped if stripped.count(name) > 1})
    if twice:
        raise InputError(f"{path}: the header ({', '.join(names)}) names {', '.join(twice)} more than once; rename one")
    return names


def _reason(path: Path, ragged: list[pcsv.InvalidRow], n_header: int, error: Exception) -> str:
    """Why the file is no table, and what to do."""
    if ragged:
        row = ragged[0]
        return (
            f"data row {row.number - n_header} has {row.actual_columns} columns, wanted {row.expected_columns}: "
            f"{row.text[:120]!r}; quote a cell that holds the separator, or complete the row"
        )
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as wrong:
                return f"line {number} is not UTF-8 (byte {line[wrong.start]:#04x}), nor CP1251; save the file as UTF-8"
    return "it has no rows; fill it" if "Empty CSV" in str(error) else f"not a readable table ({error})"


def _check_quotes_close(path: Path, table: pa.Table) -> None:
    """A quote that is never closed swallows the rest of the file into the last cell, without any error."""
    last = table.slice(len(table) - 1).to_pylist()[0].values() if len(table) else ()
    if any("\n" in cell for cell in last) and path.read_bytes().count(b'"') % 2:
        raise InputError(
            f'{path}: a quote (") in data row {len(table)} is never closed; close it, or double it in a text'
        )
