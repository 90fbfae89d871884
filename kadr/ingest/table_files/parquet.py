"""Read tables from Parquet files."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kadr.errors import InputError
from kadr.ingest.table_files.content import TableContent
from kadr.ingest.table_files.table import (
    ColumnChoice,
    ColumnNames,
    HashRows,
    ParsedTable,
    Select,
    choose_columns,
    describe_missing_header,
    hash_cells,
)


class ParquetTable:
    """Reader for Parquet files. Only the selected columns are read, so other columns can have any type and size."""

    def read(self, content: TableContent, select: Select, names: ColumnNames | None) -> ParsedTable:
        """Read the selected columns. Numbers, dates and lists become text."""
        try:
            source = content.path if content.decompressed is None else pa.BufferReader(content.decompressed)
            file = pq.ParquetFile(source)
            header = file.schema_arrow.names
            choice = choose_columns(select, header) or (choose_columns(select, names(len(header))) if names else None)
            if choice is None:
                raise InputError(f"{content.path}: {describe_missing_header(select, header)}")
            columns = {
                canonical: _to_text(_read_columns(file, [header[position]]).column(0))
                for canonical, position in choice.positions.items()
            }
        except pa.ArrowException as error:
            raise InputError(
                f"{content.path}: the table cannot be read ({error}). Save the table as a Parquet file whose columns "
                f"{', '.join(getattr(select, 'required', ()))} contain only text and numbers."
            ) from error
        return ParsedTable(choice, columns, _hash_function(file, header, choice))


def _read_columns(file: pq.ParquetFile, names: list[str]) -> pa.Table:
    return file.read(columns=names)


def _hash_function(file: pq.ParquetFile, header: list[str], choice: ColumnChoice) -> HashRows | None:
    if not choice.others:
        return None
    others = [header[position] for position in choice.others]

    def hash_others(rows: np.ndarray) -> np.ndarray:
        hashes, start = [], 0
        for batch in file.iter_batches(batch_size=1024, columns=others):
            wanted = rows[(rows >= start) & (rows < start + len(batch))] - start
            start += len(batch)
            if len(wanted):
                cells = batch.take(pa.array(wanted))
                hashes.append(hash_cells([[_cell_text(cell) for cell in row.values()] for row in cells.to_pylist()]))
        return np.concatenate(hashes) if hashes else np.empty(0, np.uint64)

    return hash_others


def _to_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Convert the cells of a column to text. Lists and structs become JSON, and NaN becomes null."""
    type_ = column.type
    if pa.types.is_dictionary(type_):
        column, type_ = column.cast(type_.value_type), type_.value_type
    if pa.types.is_timestamp(type_):
        column = pc.strftime(column.cast(pa.timestamp("s", type_.tz), safe=False), format="%Y-%m-%dT%H:%M:%S")
    if pa.types.is_nested(type_):
        cells = column.to_pylist()
        texts = [None if cell is None else json.dumps(cell, ensure_ascii=False, default=str) for cell in cells]
        return pa.chunked_array([pa.array(texts, pa.string())])
    if pa.types.is_floating(type_):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, type_), column)
    return column.cast(pa.string())


def _cell_text(cell: object) -> str:
    return "" if cell is None else str(cell)
