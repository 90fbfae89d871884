"""Names of the columns that identify a vector of an image or a text, and IDs in files of their own."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kadr.errors import InputError

IMAGE_COLUMNS = (
    "image_id", "id", "image_path", "image", "path", "file_path", "filepath", "file_name", "filename", "name", "key",
    "uid", "url", "image_url",
)  # fmt: skip
"""Names of columns that identify an image, most specific first."""

PATH_COLUMN = "image_path"
"""Name of the column with the path of an image in exported files."""

TEXT_ID_COLUMNS = ("query_id", "caption_id", "text_id", "id")
"""Names of columns with the ID of a text."""

TEXT_COLUMNS = ("text", "caption", "query", "query_text", "sentence", "prompt")
"""Names of columns with the text itself."""

ID_SUFFIXES = (".parquet", ".csv", ".json", ".txt", ".npy")
"""File types that can contain the IDs of the vectors in a .npy or .safetensors file."""


def find_id_columns(names: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """Return the columns that identify a vector, in the order of `wanted`. Upper and lower case do not matter."""
    by_lower = {name.lower(): name for name in reversed(names)}
    return [by_lower[name.lower()] for name in wanted if name.lower() in by_lower]


def read_id_table(path: Path, wanted: Sequence[str]) -> pa.Table:
    """Read the IDs of vectors from a table or a list.

    A list of IDs (.txt with one ID per line, .json, .npy) becomes a table whose only column is the first name in
    `wanted`.

    Args:
        path: file with one of the suffixes in ID_SUFFIXES.
        wanted: names of the columns that can identify a vector.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        table = _READERS[path.suffix.lower()](path, wanted)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise InputError(f"{path}: the IDs of the vectors cannot be read ({error}). Restore the file.") from error
    return table


def require_id_columns(path: Path, names: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """Return the columns that identify a vector.

    Raises:
        InputError: the file has none of the columns.
    """
    columns = find_id_columns(names, wanted)
    if not columns:
        raise InputError(
            f"{path}: the columns are {', '.join(names)}, expected one of {', '.join(wanted)} to identify each vector. "
            "Rename the column, or set `id_column` to its name."
        )
    return columns


def decode_metadata(schema: pa.Schema) -> dict[str, str]:
    """Return the metadata of a schema as strings, without the entries of pandas and Arrow."""
    metadata = (schema.metadata or {}).items()
    return {key.decode(): value.decode() for key, value in metadata if key not in (b"pandas", b"ARROW:schema")}


def _read_parquet(path: Path, wanted: Sequence[str]) -> pa.Table:
    names = pq.read_schema(path).names
    return pq.read_table(path, columns=require_id_columns(path, names, wanted))


def _read_csv(path: Path, wanted: Sequence[str]) -> pa.Table:
    from pyarrow import csv

    with csv.open_csv(path) as reader:
        names = reader.schema.names
    columns = require_id_columns(path, names, wanted)
    types = {name: pa.string() for name in columns}
    return csv.read_csv(path, convert_options=csv.ConvertOptions(column_types=types, include_columns=columns))


def _read_json(path: Path, wanted: Sequence[str]) -> pa.Table:
    values = json.loads(path.read_text(encoding="utf-8"))
    if isinstance(values, dict):
        columns = require_id_columns(path, list(values), wanted)
        return pa.table({name: values[name] for name in columns})
    return _list_table(values, wanted)


def _read_lines(path: Path, wanted: Sequence[str]) -> pa.Table:
    lines = path.read_text(encoding="utf-8-sig").rstrip("\n").split("\n")
    return _list_table(lines, wanted)


def _read_npy(path: Path, wanted: Sequence[str]) -> pa.Table:
    return _list_table(np.load(path, allow_pickle=False).tolist(), wanted)


def _list_table(values: Any, wanted: Sequence[str]) -> pa.Table:
    if not isinstance(values, list) or any(isinstance(value, list | dict) for value in values):
        raise ValueError("expected a list of IDs")
    return pa.table({wanted[0]: pa.array([None if value is None else str(value) for value in values], pa.string())})


_READERS = {
    ".parquet": _read_parquet,
    ".csv": _read_csv,
    ".json": _read_json,
    ".txt": _read_lines,
    ".npy": _read_npy,
}
