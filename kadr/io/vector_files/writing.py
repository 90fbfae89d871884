"""Write vectors in the forms that `open_vector_files` reads."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from kadr.errors import InputError
from kadr.io.storage import write_atomically
from kadr.io.vector_files.safetensors_files import IDS, PATHS
from kadr.io.versions import publish_folder

VectorFormat = Literal["clip-retrieval", "parquet", "safetensors"]
"""Form of exported vectors."""

VECTOR_FORMATS: tuple[VectorFormat, ...] = get_args(VectorFormat)

_PART_SIZE = 1_000_000
_ROW_GROUP = 16_384
_MAX_HEADER = 90_000_000  # safetensors rejects files whose header has more than 100 MB


@dataclass(frozen=True)
class VectorTable:
    """Vectors of images, with their IDs and paths.

    Attributes:
        ids: (n,) image IDs.
        paths: (n,) paths or URIs of the images.
        vectors: (n, d) vectors. The array can be memory-mapped.
        metadata: description of the encoder: name, architecture, SHA-256 of the weights, preprocessing and precision.
    """

    ids: pa.ChunkedArray
    paths: pa.ChunkedArray
    vectors: npt.NDArray[np.floating[Any]]
    metadata: Mapping[str, str]


def write_vector_files(path: Path, form: VectorFormat, table: VectorTable) -> None:
    """Write vectors atomically. An existing file or folder is replaced.

    Args:
        path: file to write, or folder for the form clip-retrieval.
        form: form of the file or folder.
        table: vectors to write, in their own precision.

    Raises:
        InputError: `path` is a file where a folder is expected, a folder of another kind, or the IDs are too long for
            safetensors.
    """
    _WRITERS[form](path, table)


def _write_parquet(path: Path, table: VectorTable) -> None:
    dim = table.vectors.shape[1]
    value_type = pa.from_numpy_dtype(table.vectors.dtype)
    vector = pa.list_(pa.field("item", value_type), dim)
    schema = pa.schema([("image_id", pa.string()), ("image_path", pa.string()), ("vector", vector)], table.metadata)
    _refuse_folder(path)
    with write_atomically(path) as partial, pq.ParquetWriter(partial, schema, compression="zstd") as writer:
        for start in range(0, len(table.ids), _ROW_GROUP):
            values = np.ascontiguousarray(table.vectors[start : start + _ROW_GROUP]).reshape(-1)
            columns = [
                table.ids.slice(start, _ROW_GROUP).combine_chunks().cast(pa.string()),
                table.paths.slice(start, _ROW_GROUP).combine_chunks().cast(pa.string()),
                pa.FixedSizeListArray.from_arrays(pa.array(values, value_type), type=vector),
            ]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))


def _write_safetensors(path: Path, table: VectorTable) -> None:
    from safetensors.numpy import save_file

    lists = {
        key: json.dumps(values.to_pylist(), ensure_ascii=False)
        for key, values in ((IDS, table.ids), (PATHS, table.paths))
    }
    if sum(len(text.encode()) for text in lists.values()) > _MAX_HEADER:
        raise InputError(
            f"{path}: the IDs and paths of {len(table.ids):,} images are too long for the header of a safetensors "
            "file. Use the format parquet."
        )
    _refuse_folder(path)
    with write_atomically(path) as partial:
        save_file({"vectors": np.ascontiguousarray(table.vectors)}, partial, {**table.metadata, **lists})


def _write_clip_retrieval(path: Path, table: VectorTable) -> None:
    if path.is_file() or (path.is_dir() and any(path.iterdir()) and not (path / "img_emb").is_dir()):
        raise InputError(f"{path} exists and is not a folder of vectors. Use another name.")
    parts = range(0, max(1, len(table.ids)), _PART_SIZE)
    width = len(str(len(parts) - 1))
    with publish_folder(path) as folder:
        (folder / "img_emb").mkdir()
        (folder / "metadata").mkdir()
        for number, start in enumerate(parts):
            part = f"{number:0{width}d}"
            np.save(folder / "img_emb" / f"img_emb_{part}.npy", table.vectors[start : start + _PART_SIZE])
            columns = {
                "image_path": table.paths.slice(start, _PART_SIZE),
                "image_id": table.ids.slice(start, _PART_SIZE),
            }
            metadata = pa.table(columns).replace_schema_metadata(dict(table.metadata))
            pq.write_table(metadata, folder / "metadata" / f"metadata_{part}.parquet")


def _refuse_folder(path: Path) -> None:
    if path.is_dir():
        raise InputError(f"{path} is a folder, expected the name of a file. Add a name, e.g. {path / 'vectors'}.")


_WRITERS: dict[VectorFormat, Callable[[Path, VectorTable], None]] = {
    "clip-retrieval": _write_clip_retrieval,
    "parquet": _write_parquet,
    "safetensors": _write_safetensors,
}
