"""Vectors in Parquet files with an ID column and a column of lists of numbers. Other columns are not read."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kadr.errors import InputError
from kadr.io.embeddings import CHUNK_SIZE, FloatVectors, Rows
from kadr.io.vector_files.id_columns import decode_metadata, require_id_columns
from kadr.io.vector_files.vector_file import VectorFile

_VECTOR_COLUMNS = ("vector", "embedding", "embeddings", "emb", "vectors", "image_embedding", "text_embedding")
"""Names of the vector column, which are preferred if a file has several columns of vectors."""

_BUFFER_SIZE = 1 << 20  # number of bytes that are read at once


def open_parquet(path: Path, wanted: Sequence[str], vector_column: str | None) -> VectorFile:
    """Open a Parquet file with an ID column and a vector column.

    Args:
        path: path of the Parquet file.
        wanted: names of the columns that can identify a vector.
        vector_column: name of the column of vectors. None finds the column by its type and name.

    Raises:
        InputError: the file is damaged, or has no ID column or no vector column.
    """
    try:
        file = pq.ParquetFile(path)
        schema = file.schema_arrow
        column = _find_vector_column(path, schema, vector_column)
        columns = require_id_columns(path, [name for name in schema.names if name != column], wanted)
        dim = _length(file, schema.field(column).type, column)
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path}: the Parquet file cannot be read ({error}). Restore the file.") from error

    def read_column(name: str) -> Sequence[object]:
        return pq.read_table(path, columns=[name]).column(name)  # type: ignore[no-any-return]

    def read_vectors(rows: Rows) -> Iterator[FloatVectors]:
        try:
            yield from _read_rows(path, column, dim, rows)
        except (OSError, pa.ArrowException) as error:  # e.g. a null in a column of lists of fixed size
            raise InputError(f"{path}: the vectors cannot be read ({error}). Write the file again.") from error

    return VectorFile(path, file.metadata.num_rows, dim, columns, read_column, read_vectors, decode_metadata(schema))


def _find_vector_column(path: Path, schema: pa.Schema, wanted: str | None) -> str:
    candidates = [field.name for field in schema if _is_vector(field.type)]
    if wanted is not None:
        if wanted not in candidates:
            raise InputError(
                f"{path}: `vector_column` is {wanted}, but the vectors are in {', '.join(candidates) or 'no column'}. "
                "Correct the setting."
            )
        return wanted
    named = [name for name in _VECTOR_COLUMNS if name in candidates]
    if len(candidates) == 1 or named:
        return named[0] if named else candidates[0]
    if not candidates:
        raise InputError(
            f"{path}: the columns are {', '.join(schema.names)}, but none of them contains vectors. Expected one "
            "column of lists of float16, float32 or float64. Store each vector as a list in one column."
        )
    raise InputError(
        f"{path}: the columns of vectors are {', '.join(candidates)}, expected one column of lists of "
        "float16, float32 or float64. Set `vector_column` to the name of the column."
    )


def _is_vector(type_: pa.DataType) -> bool:
    is_list = pa.types.is_list(type_) or pa.types.is_large_list(type_) or pa.types.is_fixed_size_list(type_)
    return bool(is_list and pa.types.is_floating(type_.value_type))


def _length(file: pq.ParquetFile, type_: pa.DataType, column: str) -> int:
    """Return the length of the vectors: of the type, or of the first vector in the file."""
    if pa.types.is_fixed_size_list(type_):
        return int(type_.list_size)
    for batch in file.iter_batches(1024, columns=[column]):
        if lengths := pa.compute.list_value_length(batch.column(column)).drop_null().to_pylist():
            return int(lengths[0])
    return 0


def _read_rows(path: Path, column: str, dim: int, rows: Rows) -> Iterator[FloatVectors]:
    """Yield the vectors in ascending rows. Only the row groups that contain these rows are read."""
    file = pq.ParquetFile(path, buffer_size=_BUFFER_SIZE)  # otherwise, a row group is read as a whole
    n_rows = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
    starts = np.cumsum([0, *n_rows])
    edges = np.searchsorted(rows, starts)
    for group, (group_start, first, last) in enumerate(zip(starts.tolist(), edges, edges[1:], strict=False)):
        start = group_start
        for batch in file.iter_batches(CHUNK_SIZE, row_groups=[group], columns=[column]) if first < last else ():
            edge, end = np.searchsorted(rows, [start, start + len(batch)])
            if edge < end:
                array = batch.column(column).take(pa.array(rows[edge:end] - start))
                yield _to_numpy(path, array, rows[edge:end], dim)
            start += len(batch)


def _to_numpy(path: Path, array: Any, rows: Rows, dim: int) -> FloatVectors:
    """Convert a list array to vectors (n, d). A null becomes NaN."""
    lengths = pa.compute.list_value_length(array)
    for row, length in zip(rows.tolist(), lengths.to_pylist(), strict=True):
        if length not in (None, dim):
            raise InputError(
                f"{path}, row {row + 1}: the vector has {length} dimensions, expected {dim}. Correct or remove the row."
            )
    flat = array.drop_null().flatten().to_numpy(zero_copy_only=False)
    vectors = np.full((len(array), dim), np.nan, flat.dtype)
    vectors[array.is_valid().to_numpy(zero_copy_only=False)] = flat.reshape(-1, dim)
    return vectors
