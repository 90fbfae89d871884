"""Image vectors of an index: float16 files that are memory-mapped, so that a search reads only the rows it needs."""

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from kadr.errors import SearchError
from kadr.io.embeddings import Embeddings, Rows, Vectors

HalfVectors = npt.NDArray[np.float16]


def write_array(path: Path, values: npt.NDArray[Any]) -> None:
    """Write a NumPy file. Equal arrays are written as equal bytes.

    Raises:
        OSError: the file cannot be written. NumPy's own error does not contain the reason.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        np.save(cast(Any, SimpleNamespace(write=file.write)), np.ascontiguousarray(values), allow_pickle=False)


@dataclass(frozen=True)
class ImageVectors:
    """Unit vectors of the images of an index from one encoder.

    Attributes:
        values: (n, d) float16, in the order of the index. May be mapped from a file.
        metadata: identity of the encoder: name, SHA-256 of the weights, preprocessing, precision.
    """

    values: HalfVectors
    metadata: dict[str, str]

    @property
    def dim(self) -> int:
        """Length d of a vector."""
        return int(self.values.shape[1])

    def take(self, rows: "Rows | slice") -> Vectors:
        """Return the vectors of these rows, in their order: (len(rows), d) float32."""
        return np.asarray(self.values[rows], dtype=np.float32)

    def write(self, path: Path) -> None:
        """Write the vectors to a NumPy file."""
        write_array(path, self.values)

    @classmethod
    def from_embeddings(cls, embeddings: Embeddings, ids: list[str]) -> "ImageVectors":
        """Select the vectors of these image IDs, in their order.

        Raises:
            SchemaError: an image has no vector.
        """
        return cls(embeddings.select(ids).astype(np.float16), embeddings.metadata)

    @classmethod
    def map(cls, path: Path, metadata: dict[str, str]) -> "ImageVectors":
        """Map the vectors of a NumPy file into memory.

        Raises:
            OSError: the file is missing.
            ValueError: the file is damaged.
            SearchError: the file does not contain float16 vectors.
        """
        values: Any = np.load(path, mmap_mode="r", allow_pickle=False)
        if values.dtype != np.float16 or values.ndim != 2:
            raise SearchError(
                f"{path}: the array has type {values.dtype} and {values.ndim} dimensions, expected float16 and 2. "
                "Build the index again with `dvc repro -f -s index` or `kadr index`."
            )
        return cls(values, metadata)
