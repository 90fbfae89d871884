"""Unit vectors of images or texts, with their IDs. They are in memory, or in a place from which they are copied."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kadr.errors import SchemaError
from kadr.io.mapped_arrays import release_pages
from kadr.io.schemas import check_schema, embeddings_schema, read_parquet, write_table

Vectors = np.ndarray[tuple[int, int], np.dtype[np.float32]]
Rows = np.ndarray[tuple[int], np.dtype[np.int64]]
FloatVectors = npt.NDArray[np.floating[Any]]

CHUNK_SIZE = 65_536
"""Number of vectors that are read, converted or copied at once."""


def evenly_spaced_rows(n_rows: int, n_selected: int) -> Rows:
    """Return up to `n_selected` evenly spaced row numbers from 0 to `n_rows` - 1, in ascending order."""
    return np.linspace(0, n_rows - 1, min(n_rows, n_selected)).astype(np.int64)


class VectorSource(ABC):
    """Unit vectors of images or texts from one encoder, which are read when they are copied.

    Attributes:
        ids: (n,) unique image IDs or text IDs, as a sequence of strings or as an Arrow array.
        metadata: name of the encoder, SHA-256 of its weights, preprocessing and precision.
    """

    ids: Sequence[str]
    metadata: dict[str, str]

    @property
    @abstractmethod
    def dim(self) -> int:
        """Number of dimensions d of each vector."""

    @abstractmethod
    def copy(self, rows: Rows, out: FloatVectors, targets: Rows) -> None:
        """Copy vectors to rows of an array. Only a part of the vectors is in memory at a time.

        Args:
            rows: (m,) positions of the vectors in `ids`.
            out: (n, d) array, which can be memory-mapped.
            targets: (m,) rows of `out`.
        """

    def rows(self, ids: Sequence[str]) -> Rows:
        """Return the position of each ID in `ids`: (len(ids),) int64.

        Raises:
            SchemaError: an ID has no vector.
        """
        positions = pa.compute.index_in(id_array(ids), value_set=self._id_array)
        if positions.null_count:
            missing = ids[positions.is_null().index(True).as_py()]
            encoder = self.metadata.get("encoder", "?")
            raise SchemaError(f"Encoder {encoder} has no vector for ID {str(missing)!r}. Run `dvc repro` to embed it.")
        return np.asarray(positions.to_numpy(zero_copy_only=False), dtype=np.int64)

    @cached_property
    def _id_array(self) -> pa.Array:
        return id_array(self.ids)

    def load(self) -> "Embeddings":
        """Read all vectors into memory."""
        rows = np.arange(len(self.ids))
        vectors = np.empty((len(rows), self.dim), np.float32)
        self.copy(rows, vectors, rows)
        return Embeddings(self._id_array.to_pylist(), vectors, self.metadata)


def id_array(ids: Sequence[str]) -> pa.Array:
    """Return IDs as an Arrow array of strings, which is not copied if it exists already."""
    if isinstance(ids, pa.ChunkedArray):
        return ids.combine_chunks()
    return ids if isinstance(ids, pa.Array) else pa.array(ids, pa.string())


def copy_in_chunks(read: Callable[[Rows], npt.NDArray[Any]], rows: Rows, out: npt.NDArray[Any], targets: Rows) -> None:
    """Copy vectors to rows of an array, with a function that reads the vectors in ascending rows.

    Args:
        read: function that returns the vectors in the given rows.
        rows: (m,) rows to read.
        out: array of n vectors, which can be memory-mapped.
        targets: (m,) rows of `out`.
    """
    order = np.argsort(rows, kind="stable")
    for start in range(0, len(order), CHUNK_SIZE):
        chunk = order[start : start + CHUNK_SIZE]
        out[targets[chunk]] = read(rows[chunk])
        release_pages(out)


@dataclass(frozen=True)
class VectorParts(VectorSource):
    """Vectors of one encoder from several sources.

    Attributes:
        ids: IDs of all vectors.
        metadata: description of the encoder.
        parts: sources with different IDs, in the order of `ids`.
    """

    ids: Sequence[str]
    metadata: dict[str, str]
    parts: Sequence[VectorSource]

    @classmethod
    def join(cls, parts: Sequence[VectorSource]) -> "VectorParts":
        """Join one or more sources with different IDs."""
        ids = pa.chunked_array([id_array(part.ids).cast(pa.string()) for part in parts], pa.string())
        return cls(ids.combine_chunks(), parts[0].metadata, parts)

    @property
    def dim(self) -> int:
        """Number of dimensions d of each vector."""
        return self.parts[0].dim

    def copy(self, rows: Rows, out: FloatVectors, targets: Rows) -> None:
        """Copy vectors to rows of an array, one source after the other."""
        start = 0
        for part in self.parts:
            end = start + len(part.ids)
            is_in_part = (rows >= start) & (rows < end)
            part.copy(rows[is_in_part] - start, out, targets[is_in_part])
            start = end


@dataclass(frozen=True)
class Embeddings(VectorSource):
    """Unit vectors in memory.

    Vectors are looked up by ID, so the order of the rows does not matter.

    Attributes:
        ids: (n,) unique image IDs or text IDs.
        vectors: (n, d) float32 unit vectors, in the order of `ids`.
        metadata: name of the encoder, SHA-256 of its weights, preprocessing and precision.
    """

    ids: Sequence[str]
    vectors: Vectors
    metadata: dict[str, str]

    @property
    def dim(self) -> int:
        """Number of dimensions d of each vector."""
        return int(self.vectors.shape[1])

    def copy(self, rows: Rows, out: FloatVectors, targets: Rows) -> None:
        """Copy vectors to rows of an array."""
        copy_in_chunks(self.vectors.__getitem__, rows, out, targets)

    def load(self) -> "Embeddings":
        """Return the embeddings themselves, because they are in memory."""
        return self

    def select(self, ids: Sequence[str]) -> Vectors:
        """Return a copy of the vectors of the given IDs, in the same order: (len(ids), d) float32."""
        return self.vectors[self.rows(ids)]

    def write(self, path: Path) -> None:
        """Write a Parquet file with the columns id and vector. `metadata` becomes the metadata of the file."""
        flat = pa.array(np.ascontiguousarray(self.vectors, dtype=np.float32).reshape(-1), pa.float32())
        schema = embeddings_schema(self.dim)
        vector = pa.FixedSizeListArray.from_arrays(flat, type=schema.field("vector").type)
        table = pa.Table.from_arrays([pa.array(self.ids, pa.string()), vector], schema=schema)
        write_table(table.replace_schema_metadata(self.metadata), path, schema)

    @classmethod
    def read(cls, path: Path) -> "Embeddings":
        """Read an embeddings table.

        Raises:
            SchemaError: the file is missing, damaged or not an embeddings table.
        """
        table = read_parquet(path)
        dim = check_vector_column(table.schema, path)
        check_schema(table, embeddings_schema(dim), str(path))
        vector = table.column("vector").combine_chunks()
        flat = vector.flatten().to_numpy(zero_copy_only=False)
        metadata = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
        return cls(table.column("id").to_pylist(), flat.reshape(len(table), dim), metadata)

    @classmethod
    def read_all(cls, folder: Path, encoders: Iterable[str]) -> dict[str, "Embeddings"]:
        """Read the embeddings table `<encoder>.parquet` of each encoder from a folder."""
        return {encoder: cls.read(folder / f"{encoder}.parquet") for encoder in encoders}


def check_vector_column(schema: pa.Schema, path: Path) -> int:
    """Return the length of the vectors of an embeddings table. Raise SchemaError if it is no embeddings table."""
    vector_type = schema.field("vector").type if "vector" in schema.names else None
    if not isinstance(vector_type, pa.FixedSizeListType):
        raise SchemaError(
            f"{path}: the file is not an embeddings table, because it has no column `vector` of type "
            "fixed_size_list. Delete the file and run `dvc repro`."
        )
    return int(vector_type.list_size)
