"""Exact nearest-neighbour search, and the recall of an approximate search relative to it."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from kadr.index.image_vectors import ImageVectors
from kadr.io.embeddings import Vectors, evenly_spaced_rows

TARGET_RECALL = 0.98
RECALL_K = 10
N_RECALL_QUERIES = 512
"""Number of query vectors used to measure recall."""

_CHUNK_SIZE = 16_384  # number of vectors that are compared with the queries at once

RowIds = npt.NDArray[np.int64]
Cosines = npt.NDArray[np.float32]
Neighbours = tuple[RowIds, Cosines]
"""Row numbers and cosines of the nearest images."""


def recall_queries(vectors: ImageVectors, texts: Vectors | None) -> Vectors:
    """Return up to 512 query vectors: text vectors, or image vectors if there are no text vectors."""
    if texts is not None and len(texts):
        return texts[evenly_spaced_rows(len(texts), N_RECALL_QUERIES)]
    return vectors.take(evenly_spaced_rows(len(vectors.values), N_RECALL_QUERIES))


def exact_nearest(queries: Vectors, vectors: ImageVectors, k: int) -> Neighbours:
    """Find the k images nearest to each query by comparing each query with every image vector.

    Returns:
        Row numbers (q, k) and cosines (q, k) of the nearest images, not sorted.
    """
    best, rows = np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)
    for start in range(0, len(vectors.values), _CHUNK_SIZE):
        cosines = queries @ vectors.take(slice(start, start + _CHUNK_SIZE)).T
        vectors.release()
        best = np.concatenate([best, cosines], axis=1)
        rows = np.concatenate([rows, np.broadcast_to(np.arange(cosines.shape[1]) + start, cosines.shape)], axis=1)
        kept = np.argpartition(-best, min(k, best.shape[1]) - 1, axis=1)[:, :k]
        best, rows = np.take_along_axis(best, kept, 1), np.take_along_axis(rows, kept, 1)
    return rows, best


def top_k(rows: RowIds, cosines: Cosines, k: int) -> Neighbours:
    """Return the row numbers and values of the k largest cosines, largest first. Ties are sorted by row number."""
    order = np.lexsort((rows, -cosines))[:k]
    return rows[order], cosines[order]


def mean_recall(expected: RowIds, found: RowIds) -> float:
    """Return the mean share of expected rows that were found.

    Args:
        expected: (q, k) row numbers from exact search.
        found: (q, n) row numbers from the search to measure.
    """
    return float(recalls(expected, found).mean())


def recalls(expected: RowIds, found: Iterable[RowIds]) -> npt.NDArray[np.float64]:
    """Return the share of expected rows that were found, for each query: (q,)."""
    return np.array([len(np.intersect1d(*pair)) / len(pair[0]) for pair in zip(expected, found, strict=True)])


def reaches_target(recalls: npt.NDArray[np.float64]) -> bool:
    """Return whether the mean recall exceeds the target recall by at least its standard error.

    Other queries may have a lower recall than the queries of the measurement.

    Args:
        recalls: (q,) recall of each query.
    """
    return bool(recalls.mean() - recalls.std() / np.sqrt(len(recalls)) >= TARGET_RECALL)
