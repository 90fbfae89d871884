"""Image vectors of an index, in memory-mapped float16 files. A search reads only the rows that it needs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from kadr.errors import SearchError
from kadr.io.embeddings import FloatVectors, Rows, Vectors, VectorSource, copy_in_chunks
from kadr.io.mapped_arrays import RowReader, create_array, is_mapped_from, release_pages, take_rows

HalfVectors = npt.NDArray[np.float16]


def write_array(path: Path, values: npt.NDArray[Any]) -> None:
    """Write an array to a NumPy file, unless the array is memory-mapped from this file.

    Identical arrays produce identical files.

    Raises:
        OSError: the file cannot be written. Unlike an error of `np.save`, this error contains the reason.
    """
    if is_mapped_from(values, path):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        np.save(cast(Any, SimpleNamespace(write=file.write)), np.ascontiguousarray(values), allow_pickle=False)


@dataclass(frozen=True)
class ImageVectors:
    """Unit vectors of all images in an index, computed by one encoder.

    Attributes:
        values: (n, d) float16 vectors in the row order of the index. The array can be memory-mapped.
        metadata: name of the encoder, SHA-256 of its weights, preprocessing and precision.
        reader: reader of the file from which `values` is memory-mapped. None if the array is in memory.
    """

    values: HalfVectors
    metadata: dict[str, str]
    reader: RowReader | None = field(default=None, repr=False, compare=False)

    @property
    def dim(self) -> int:
        """Number of dimensions d of each vector."""
        return int(self.values.shape[1])

    def take(self, rows: "Rows | slice") -> Vectors:
        """Return the vectors in the given rows, in the same order: (len(rows), d) float32."""
        vectors = np.asarray(self.take_half(rows), dtype=np.float32)
        if isinstance(rows, slice):  # a pass over all vectors does not leave them in memory
            self.release()
        return vectors

    def take_half(self, rows: "Rows | slice") -> HalfVectors:
        """Return the vectors in the given rows, in the same order: (len(rows), d) float16."""
        return self.values[rows] if isinstance(rows, slice) or self.reader is None else self.reader.read(rows)

    def select(self, rows: Rows, ids: Sequence[str]) -> VectorSource:
        """Return the vectors in the given rows for another index. They are read when they are copied.

        Args:
            rows: row numbers.
            ids: image ID of each row, as a sequence of strings or as an Arrow array.
        """
        return _IndexedVectors(ids, self.metadata, self, rows)

    def write(self, path: Path) -> None:
        """Write the vectors to a NumPy file."""
        write_array(path, self.values)

    def release(self) -> None:
        """Remove memory-mapped vectors from the memory of this process. They are read again when they are needed."""
        release_pages(self.values)

    @classmethod
    def collect(cls, source: VectorSource, ids: Sequence[str], path: Path | None = None) -> "ImageVectors":
        """Copy the vectors of the given image IDs, in the same order.

        Args:
            source: vectors of these images and of other images.
            ids: image IDs, as a sequence of strings or as an Arrow array.
            path: NumPy file to create. The vectors are memory-mapped from this file. None keeps the vectors in memory.

        Raises:
            SchemaError: an image has no vector.
            OSError: the file cannot be written.
        """
        rows = source.rows(ids)
        shape = (len(rows), source.dim)
        values = np.empty(shape, np.float16) if path is None else create_array(path, shape, np.float16)
        source.copy(rows, values, np.arange(len(rows)))
        return cls(values, source.metadata)

    @classmethod
    def map(cls, path: Path, metadata: dict[str, str]) -> "ImageVectors":
        """Memory-map the vectors of a NumPy file.

        Raises:
            OSError: the file is missing.
            ValueError: the file is damaged.
            SearchError: the file does not contain float16 vectors.
        """
        values: Any = np.load(path, mmap_mode="r", allow_pickle=False)
        if values.dtype != np.float16 or values.ndim != 2:
            raise SearchError(
                f"{path}: the array has type {values.dtype} and {values.ndim} dimensions, expected float16 and 2. "
                "Rebuild the index with `dvc repro -f -s index`, or with `kadr index` for your own photos."
            )
        return cls(values, metadata, RowReader(values, path))


@dataclass(frozen=True)
class _IndexedVectors(VectorSource):
    """Vectors of images in an index.

    Attributes:
        ids: (n,) image IDs.
        metadata: description of the encoder.
        vectors: vectors of all images in the index.
        vector_rows: (n,) row of the vector of each ID.
    """

    ids: Sequence[str]
    metadata: dict[str, str]
    vectors: ImageVectors
    vector_rows: Rows

    @property
    def dim(self) -> int:
        """Number of dimensions d of each vector."""
        return self.vectors.dim

    def copy(self, rows: Rows, out: FloatVectors, targets: Rows) -> None:
        """Copy vectors to rows of an array."""
        copy_in_chunks(partial(take_rows, self.vectors.values), self.vector_rows[rows], out, targets)
