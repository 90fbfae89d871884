"""Vectors in .npy files. The IDs are in a file beside each .npy file, or in the metadata files of clip-retrieval."""

import re
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kadr.errors import InputError
from kadr.io.embeddings import CHUNK_SIZE, FloatVectors, Rows
from kadr.io.mapped_arrays import take_rows
from kadr.io.vector_files.id_columns import ID_SUFFIXES, decode_metadata, read_id_table, require_id_columns
from kadr.io.vector_files.vector_file import VectorFile

_PART = re.compile(r"(?:img|text)_emb_(\d+)")
"""Name of a part that clip-retrieval writes, e.g. img_emb_0."""


def open_npy(path: Path, wanted: Sequence[str]) -> VectorFile:
    """Memory-map the vectors of a .npy file, and read their IDs.

    Args:
        path: path of the .npy file.
        wanted: names of the columns that can identify a vector.

    Raises:
        InputError: the file is damaged or has no IDs, or the numbers of vectors and IDs differ.
    """
    try:
        values: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path}: the vectors cannot be read ({error}). Restore the file.") from error
    check_vectors(path, values.shape, values.dtype)
    ids_path = find_id_file(path)
    table = read_id_table(ids_path, wanted)
    columns = require_id_columns(ids_path, table.column_names, wanted)
    check_length(path, len(values), ids_path, len(table))
    metadata = decode_metadata(table.schema)
    read = partial(read_mapped, values)
    return VectorFile(path, len(values), values.shape[1], columns, table.column, read, metadata, ids_path)


def read_mapped(values: FloatVectors, rows: Rows) -> Iterator[FloatVectors]:
    """Yield the given rows of a memory-mapped array in parts. Pages that have been read leave the memory again."""
    for start in range(0, len(rows), CHUNK_SIZE):
        yield take_rows(values, rows[start : start + CHUNK_SIZE])


def list_npy(folder: Path) -> list[Path]:
    """Return the .npy files with vectors in a folder. Files whose name ends in `ids` contain IDs."""
    return sorted((path for path in folder.glob("*.npy") if not path.stem.endswith("ids")), key=part_order)


def part_order(path: Path) -> tuple[list[str | int], str]:
    """Sort key for the names of parts, so that part 2 precedes part 10."""
    pieces = re.split(r"(\d+)", path.name)
    return [int(piece) if number % 2 else piece for number, piece in enumerate(pieces)], path.name


def find_id_file(path: Path) -> Path:
    """Return the file with the IDs of the vectors in a .npy or .safetensors file.

    Raises:
        InputError: there is no such file.
    """
    candidates = list(_id_files(path))
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise InputError(
        f"{path}: the IDs of the vectors are missing. Add {path.stem}_ids.txt with one ID per line in the same folder, "
        f"or {path.stem}.parquet with a column such as image_id, in the order of the vectors."
    )


def _id_files(path: Path) -> Iterator[Path]:
    if part := _PART.fullmatch(path.stem):
        yield path.parent.with_name("metadata") / f"metadata_{part[1]}.parquet"
        yield path.with_name(f"metadata_{part[1]}.parquet")
    for stem in (f"{path.stem}_ids", f"{path.stem}.ids", path.stem):
        yield from (path.with_name(stem + suffix) for suffix in ID_SUFFIXES if stem + suffix != path.name)
    if len([other for other in path.parent.glob(f"*{path.suffix}") if not other.stem.endswith("ids")]) == 1:
        yield from (path.with_name("ids" + suffix) for suffix in ID_SUFFIXES)


def check_vectors(path: Path, shape: Sequence[int], dtype: "np.dtype[Any]") -> None:
    """Raise InputError unless an array has two dimensions and a floating-point type."""
    if len(shape) != 2 or not np.issubdtype(dtype, np.floating):
        raise InputError(
            f"{path}: the array has the shape {tuple(shape)} and the type {dtype}, expected one float16, float32 or "
            "float64 vector per row. Save the vectors as an array (n, d)."
        )


def check_length(path: Path, n_vectors: int, ids_path: Path, n_ids: int) -> None:
    """Raise InputError if the numbers of vectors and IDs differ."""
    if n_vectors != n_ids:
        raise InputError(
            f"{path} has {n_vectors:,} vectors, but {ids_path} has {n_ids:,} IDs. Restore the files of one run."
        )
