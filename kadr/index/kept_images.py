"""Find the images of an old index that are in a new index with the same vectors."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kadr.index.image_vectors import ImageVectors
from kadr.io.embeddings import CHUNK_SIZE, Rows
from kadr.io.mapped_arrays import take_rows


@dataclass(frozen=True)
class KeptImages:
    """Images of an old index that are in a new index with the same vectors.

    Attributes:
        old_rows: (m,) row numbers in the old index, each at most once.
        new_rows: (m,) row numbers in the new index, ascending.
    """

    old_rows: Rows
    new_rows: Rows


def find_kept_images(
    old_table: pa.Table, old_vectors: Mapping[str, ImageVectors], table: pa.Table, vectors: Mapping[str, ImageVectors]
) -> KeptImages:
    """Find the images whose vectors have not changed. An image can have another ID if its file was moved.

    Args:
        old_table: images of the old index, with the columns image_id and sha256.
        old_vectors: encoder name -> vectors of these images.
        table: images of the new index, with the same columns.
        vectors: encoder name -> vectors of these images.

    Returns:
        Kept images. There are none if the indexes have vectors of different encoders.
    """
    if {name: old.dim for name, old in old_vectors.items()} != {name: new.dim for name, new in vectors.items()}:
        return KeptImages(np.empty(0, np.int64), np.empty(0, np.int64))
    old_rows = _match(table["image_id"], old_table["image_id"])
    moved, gone = np.flatnonzero(old_rows < 0), np.setdiff1d(np.arange(len(old_table)), old_rows)
    same_content = _match(table["sha256"].take(moved), old_table["sha256"].take(gone))
    copies, first = np.unique(same_content, return_index=True)
    first = first[copies >= 0]
    old_rows[moved[first]] = gone[same_content[first]]
    new_rows = np.flatnonzero(old_rows >= 0)
    old_rows = old_rows[new_rows]
    for name in vectors:
        is_equal = _compare(old_vectors[name], old_rows, vectors[name], new_rows)
        old_rows, new_rows = old_rows[is_equal], new_rows[is_equal]
    return KeptImages(old_rows, new_rows)


def _match(values: pa.ChunkedArray, old_values: pa.ChunkedArray) -> Rows:
    """Return the first position of each value in the old values, or -1. A null has no position."""
    positions = pc.index_in(values, value_set=old_values, skip_nulls=True)
    return np.asarray(pc.fill_null(positions, -1).to_numpy(), dtype=np.int64)


def _compare(old: ImageVectors, old_rows: Rows, new: ImageVectors, new_rows: Rows) -> npt.NDArray[np.bool_]:
    """Return whether each pair of vectors is equal, bit by bit."""
    is_equal = np.empty(len(old_rows), np.bool_)
    for start in range(0, len(old_rows), CHUNK_SIZE):
        part = slice(start, start + CHUNK_SIZE)
        left, right = take_rows(old.values, old_rows[part]), take_rows(new.values, new_rows[part])
        is_equal[part] = (left.view(np.uint16) == right.view(np.uint16)).all(axis=1)
    return is_equal
