"""The index's vectors for the relevance model: float16 on the disk, mapped, so that only wanted rows are read."""

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from kadr.errors import SearchError
from kadr.io.embeddings import Embeddings, Rows, Vectors

Halves = npt.NDArray[np.float16]


def write_array(path: Path, values: npt.NDArray[Any]) -> None:
    """Write a NumPy file; the same gives the same bytes. Raises OSError, which says why, as NumPy's own does not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        np.save(cast(Any, SimpleNamespace(write=file.write)), np.ascontiguousarray(values), allow_pickle=False)


@dataclass(frozen=True)
class PhotoVectors:
    """Unit vectors of an index's photos by one encoder.

    Attributes:
        values: (n, d) float16, in the order of the index's photos; may be mapped from a file.
        metadata: what made them: encoder, weights sha256, preprocessing, precision.
    """

    values: Halves
    metadata: dict[str, str]

    @property
    def dim(self) -> int:
        """Length d of a vector."""
        return int(self.values.shape[1])

    def take(self, rows: "Rows | slice") -> Vectors:
        """Vectors of these rows, in their order: (len(rows), d) float32."""
        return np.asarray(self.values[rows], dtype=np.float32)

    def write(self, path: Path) -> None:
        """Write to a NumPy file; the same gives the same bytes."""
        write_array(path, self.values)

    @classmethod
    def of(cls, embeddings: Embeddings, ids: list[str]) -> "PhotoVectors":
        """The vectors of `ids`, in their order. Raises SchemaError where an id has none."""
        return cls(embeddings.select(ids).astype(np.float16), embeddings.metadata)

    @classmethod
    def map(cls, path: Path, metadata: dict[str, str]) -> "PhotoVectors":
        """Map what `write` wrote. Raises OSError or ValueError where it is missing or damaged."""
        values: Any = np.load(path, mmap_mode="r", allow_pickle=False)
        if values.dtype != np.float16 or values.ndim != 2:
            raise SearchError(f"{path}: holds {values.dtype} of {values.ndim} axes, wanted float16 vectors")
        return cls(values, metadata)
