"""Vectors in safetensors files.

The IDs of the vectors are a JSON list under the key `ids` of the file's metadata, or a file beside the safetensors
file, or the names of the tensors, if the file contains one tensor per vector.
"""

import json
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from kadr.errors import InputError
from kadr.io.embeddings import CHUNK_SIZE, FloatVectors, Rows
from kadr.io.vector_files.id_columns import PATH_COLUMN, read_id_table, require_id_columns
from kadr.io.vector_files.numpy_files import check_length, check_vectors, find_id_file, read_mapped
from kadr.io.vector_files.vector_file import VectorFile

IDS = "ids"
"""Key of the IDs in the metadata of a safetensors file: a JSON list of strings."""

PATHS = "paths"
"""Key of the paths of the images in the metadata of a safetensors file: a JSON list of strings."""

_TYPES = {"F16": np.float16, "F32": np.float32, "F64": np.float64}


def open_safetensors(path: Path, wanted: Sequence[str]) -> VectorFile:
    """Open a safetensors file with vectors.

    Args:
        path: path of the file.
        wanted: names of the columns that can identify a vector. The first name is the name of the IDs in the file.

    Raises:
        InputError: the file is damaged, has no IDs or no vectors, or the numbers of vectors and IDs differ.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as file:
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            types = {name: file.get_slice(name).get_dtype() for name in shapes}
            metadata = dict(file.metadata() or {})
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: the safetensors file cannot be read ({error}). Restore the file.") from error
    for name, type_ in types.items():
        if type_ not in _TYPES:
            raise InputError(
                f"{path}: tensor {name!r} has the type {type_}, expected F16, F32 or F64. Convert the tensor."
            )
    if shapes and IDS not in metadata and all(len(shape) == 1 or shape[0] == 1 for shape in shapes.values()):
        return _open_named_vectors(path, shapes, wanted, metadata)
    if len(shapes) != 1:
        raise InputError(
            f"{path}: the tensors are {', '.join(shapes) or 'none'}, expected one tensor (n, d), or one tensor per "
            "vector. Write the vectors to a file of their own."
        )
    (name,) = shapes
    check_vectors(path, shapes[name], np.dtype(_TYPES[types[name]]))
    n, dim = shapes[name]
    ids_path = None if IDS in metadata else find_id_file(path)
    ids = _read_ids(path, ids_path, metadata, wanted, n)
    return VectorFile(path, n, dim, list(ids), ids.__getitem__, partial(_read_tensor, path), metadata, ids_path)


def _read_tensor(path: Path, rows: Rows) -> Iterator[FloatVectors]:
    """Yield rows of the only tensor of a file, which is memory-mapped."""
    with path.open("rb") as file:
        header_size = int.from_bytes(file.read(8), "little")
        (tensor,) = (value for key, value in json.loads(file.read(header_size)).items() if key != "__metadata__")
    offset = 8 + header_size + tensor["data_offsets"][0]
    return read_mapped(np.memmap(path, _TYPES[tensor["dtype"]], "r", offset, tuple(tensor["shape"])), rows)


def _read_ids(
    path: Path, ids_path: Path | None, metadata: dict[str, str], wanted: Sequence[str], n_vectors: int
) -> dict[str, Any]:
    """Return the IDs and the paths by column name. Their keys are removed from the metadata."""
    if ids_path is not None:
        table = read_id_table(ids_path, wanted)
        check_length(path, n_vectors, ids_path, len(table))
        return {name: table.column(name) for name in require_id_columns(ids_path, table.column_names, wanted)}
    columns = {wanted[0]: _pop_list(path, metadata, IDS)}
    if PATHS in metadata:
        columns[PATH_COLUMN] = _pop_list(path, metadata, PATHS)
    for values in columns.values():
        check_length(path, n_vectors, path, len(values))
    return {name: columns[name] for name in columns if name in wanted}


def _pop_list(path: Path, metadata: dict[str, str], key: str) -> list[str]:
    """Remove a JSON list from the metadata, and return its values."""
    try:
        values = json.loads(metadata.pop(key))
    except ValueError as error:
        raise InputError(f"{path}: the metadata key {key!r} is not valid JSON ({error}). Use json.dumps.") from error
    if not isinstance(values, list):
        raise InputError(f"{path}: the metadata key {key!r} is not a JSON list. Write the IDs as a list of strings.")
    return [str(value) for value in values]


def _open_named_vectors(
    path: Path, shapes: dict[str, tuple[int, ...]], wanted: Sequence[str], metadata: dict[str, str]
) -> VectorFile:
    """Open a file with one tensor per vector. The names of the tensors are the IDs."""
    from safetensors import safe_open

    names = list(shapes)
    dim = int(np.prod(shapes[names[0]]))
    for name, shape in shapes.items():
        if shape not in ((dim,), (1, dim)):
            raise InputError(
                f"{path}: tensor {name!r} has the shape {shape}, expected ({dim},) as the first tensor. Write the "
                "vectors to a file of their own."
            )

    def read_vectors(rows: Rows) -> Iterator[FloatVectors]:
        with safe_open(path, "np") as file:
            for start in range(0, len(rows), CHUNK_SIZE):
                part = rows[start : start + CHUNK_SIZE].tolist()
                yield np.stack([file.get_tensor(names[row]).reshape(dim) for row in part])

    return VectorFile(path, len(names), dim, [wanted[0]], lambda _name: names, read_vectors, metadata)
