"""A file of vectors, and several files of vectors that are read like one file."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from kadr.errors import InputError
from kadr.io.embeddings import FloatVectors, Rows, Vectors
from kadr.io.storage import sha256


@dataclass(frozen=True)
class VectorFile:
    """A file of n vectors of length d, which is read only where its vectors are requested.

    Attributes:
        path: path of the file.
        n: number of vectors.
        dim: length d of each vector.
        columns: names of the columns that identify the vectors, such as image_id and image_path, most specific first.
        read_column: function that returns the n values of a column.
        read_vectors: function that yields the vectors in the given rows, float16, float32 or float64, in parts of up to
            CHUNK_SIZE vectors. The row numbers are unique and ascending. A vector is NaN where the file has a null.
        metadata: description of the encoder that computed the vectors. Empty if the file does not contain one.
        id_path: path of the file with the IDs, if the IDs are in another file.
    """

    path: Path
    n: int
    dim: int
    columns: Sequence[str]
    read_column: Callable[[str], Sequence[object]]
    read_vectors: Callable[[Rows], Iterator[FloatVectors]]
    metadata: Mapping[str, str] = field(default_factory=dict)
    id_path: Path | None = None


@dataclass(frozen=True)
class VectorFiles:
    """Files of vectors of the same length, in the order of their parts. Row numbers continue across the files.

    Attributes:
        path: file or folder that was opened, for messages.
        files: one or more files.

    Raises:
        InputError: the files have vectors of different lengths, or no column in common.
    """

    path: Path
    files: Sequence[VectorFile]

    def __post_init__(self) -> None:
        """Check that the files can be read like one file."""
        first = self.files[0]
        for file in self.files:
            if file.dim != first.dim:
                raise InputError(
                    f"{file.path}: the vectors have {file.dim} dimensions, expected {first.dim} as in {first.path}. "
                    "Move the vectors of different encoders to different folders."
                )
        if not self.columns:
            raise InputError(f"{self.path}: the files have no ID column in common. Give all parts the same columns.")

    @property
    def dim(self) -> int:
        """Length of each vector."""
        return self.files[0].dim

    @property
    def columns(self) -> list[str]:
        """Names of the columns that identify the vectors in all files, most specific first."""
        return [name for name in self.files[0].columns if all(name in file.columns for file in self.files)]

    @property
    def metadata(self) -> Mapping[str, str]:
        """Description of the encoder that computed the vectors, as in the first file."""
        return self.files[0].metadata

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *np.cumsum([file.n for file in self.files]).tolist()]

    def __len__(self) -> int:
        """Return the number of vectors in all files."""
        return self._starts[-1]

    def digest(self) -> str:
        """Return a SHA-256 hash of the content of all files, as a hexadecimal string."""
        paths = [path for file in self.files for path in (file.path, file.id_path) if path is not None]
        return hashlib.sha256("".join(sha256(path) for path in paths).encode()).hexdigest()

    def column(self, name: str) -> "pa.ChunkedArray":
        """Return the values of a column in all files as strings. Blank values are null."""
        return pa.chunked_array([_to_strings(file.read_column(name)) for file in self.files], pa.large_string())

    def vectors(self, rows: Rows) -> Vectors:
        """Return the vectors in the given rows, in the same order: (len(rows), d) float32."""
        vectors = np.empty((len(rows), self.dim), np.float32)
        unique, positions = np.unique(rows, return_inverse=True)
        for part_rows, part in self.read(unique):
            first, last = np.searchsorted(unique, part_rows[[0, -1]])
            is_in_part = (positions >= first) & (positions <= last)
            vectors[is_in_part] = part[positions[is_in_part] - first]
        return vectors

    def read(self, rows: Rows) -> Iterator[tuple[Rows, Vectors]]:
        """Yield the vectors in the given rows in parts: row numbers (m,), and vectors (m, d) float32.

        Args:
            rows: unique row numbers, ascending.
        """
        edges = np.searchsorted(rows, self._starts)
        for file, start, first, last in zip(self.files, self._starts, edges, edges[1:], strict=False):
            position = first
            for vectors in file.read_vectors(rows[first:last] - start) if first < last else ():
                yield rows[position : position + len(vectors)], vectors.astype(np.float32)
                position += len(vectors)

    def locate(self, row: int) -> str:
        """Return the file and the row in this file, starting at 1, for messages."""
        number = int(np.searchsorted(self._starts, row, side="right")) - 1
        return f"{self.files[number].path}, row {row - self._starts[number] + 1}"


def _to_strings(values: Sequence[object]) -> pa.Array:
    """Convert the values of a column to strings. Blank strings become null."""
    array = values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values)
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    strings = array.cast(pa.large_string())
    return pa.compute.if_else(pa.compute.equal(strings, ""), None, strings)
