"""Nearest-neighbour search with FAISS: exact search in small indexes, and inverted lists (IVF) in large indexes.

Vectors are stored as float16. An index of more than `exact_max` images groups the vectors into lists around k-means
centres (Sivic and Zisserman 2003). A search probes the `nprobe` nearest lists. `nprobe` is the smallest number of lists
that reaches the target recall. If a filter or a large k leaves too few results, the search probes more lists.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from kadr.index.image_vectors import ImageVectors
from kadr.io.embeddings import Rows, Vectors, evenly_spaced_rows

if TYPE_CHECKING:
    import faiss

EXACT_FACTORY, IVF_FACTORY = "SQfp16", "IVF{},SQfp16"
"""FAISS factory strings."""

TARGET_RECALL = 0.98
RECALL_K = 10
N_RECALL_QUERIES = 512
"""Number of query vectors used to measure recall."""

BRUTE_FORCE_MAX = 20_000
"""If a filter leaves at most this number of rows, the search is exact. For vectors of length 512, it takes 20 ms."""

_LISTS_PER_ROOT = 4  # the number of lists is this factor times the square root of the number of images
_TRAINING_VECTORS_PER_LIST = 40  # FAISS recommends at least 39
_CHUNK_SIZE = 65_536  # number of rows converted to float32 at once
_SEED = 1234

RowIds = npt.NDArray[np.int64]
Cosines = npt.NDArray[np.float32]
Neighbours = tuple[RowIds, Cosines]
"""Row numbers and cosines of the nearest images."""


@dataclass(frozen=True)
class VectorIndex:
    """A FAISS index with inner-product similarity.

    Attributes:
        faiss_index: FAISS index of the image vectors, in the row order of the table.
        kind: FAISS factory string.
        nprobe: number of lists that a search without a filter probes. 0 for an exact index.
        recall: recall@10 relative to an exact float32 search, measured when the index was built.
    """

    faiss_index: "faiss.Index"
    kind: str
    nprobe: int
    recall: float

    def __post_init__(self) -> None:
        """Make FAISS search the lists of a query in parallel. By default, FAISS uses one thread per query."""
        if self.nprobe:
            _faiss().extract_index_ivf(self.faiss_index).parallel_mode = 1

    @classmethod
    def build(cls, vectors: ImageVectors, exact_max: int, texts: Vectors | None = None) -> "VectorIndex":
        """Build an index and measure its recall.

        Args:
            vectors: image vectors, at least one.
            exact_max: maximum number of images for exact search.
            texts: (m, d) text vectors used as queries to measure recall. By default, image vectors are used.
        """
        faiss = _faiss()
        n = len(vectors.values)
        n_lists = 0 if n <= exact_max else min(n, int(_LISTS_PER_ROOT * np.sqrt(n)))
        kind = IVF_FACTORY.format(n_lists) if n_lists else EXACT_FACTORY
        index = faiss.index_factory(vectors.dim, kind, faiss.METRIC_INNER_PRODUCT)
        if n_lists:
            index.cp.seed = _SEED
            index.train(vectors.take(evenly_spaced_rows(n, _TRAINING_VECTORS_PER_LIST * n_lists)))
        for start in range(0, n, _CHUNK_SIZE):
            index.add(vectors.take(slice(start, start + _CHUNK_SIZE)))
        if texts is not None and len(texts):
            queries = texts[evenly_spaced_rows(len(texts), N_RECALL_QUERIES)]
        else:
            queries = vectors.take(evenly_spaced_rows(n, N_RECALL_QUERIES))
        expected = exact_nearest(queries, vectors, RECALL_K)[0]
        nprobe, recall = 0, mean_recall(expected, index.search(queries, expected.shape[1])[1])
        if n_lists:
            nprobe, recall = _choose_nprobe(index, queries, expected)
        return cls(index, kind, nprobe, recall)

    def search(self, queries: Vectors, k: int, vectors: ImageVectors, rows: Rows | None = None) -> list[Neighbours]:
        """Find the k images nearest to each query.

        Args:
            queries: (q, d) float32 query vectors.
            k: maximum number of results per query, at least 1.
            vectors: vectors of all images in the index.
            rows: row numbers to search in, ascending. None searches all rows.

        Returns:
            For each query, row numbers and cosines, nearest first. Equal cosines are sorted by row number.
        """
        n = len(vectors.values) if rows is None else len(rows)
        if not n:
            return [(np.empty(0, np.int64), np.empty(0, np.float32))] * len(queries)
        k = min(k, n)
        if rows is not None and n <= BRUTE_FORCE_MAX:
            return [_top_k(rows, cosines, k) for cosines in queries @ vectors.take(rows).T]
        nprobe, n_lists = self.nprobe, getattr(self.faiss_index, "nlist", 0)
        if nprobe and rows is not None:  # each list contains fewer rows that pass the filter
            nprobe = min(n_lists, -(-nprobe * len(vectors.values) // n))
        while True:
            cosines, neighbours = self.faiss_index.search(queries, k, params=self._parameters(rows, nprobe))
            is_result = neighbours >= 0  # FAISS returns -1 for a missing result
            if nprobe >= n_lists or is_result.all():
                break
            nprobe = min(2 * nprobe, n_lists)
        return [
            _top_k(query_neighbours[mask], query_cosines[mask], k)
            for query_neighbours, query_cosines, mask in zip(neighbours, cosines, is_result, strict=True)
        ]

    def _parameters(self, rows: Rows | None, nprobe: int) -> Any:
        faiss = _faiss()
        selector = {} if rows is None else {"sel": faiss.IDSelectorBatch(rows)}
        if nprobe:
            return faiss.SearchParametersIVF(nprobe=nprobe, **selector)
        return faiss.SearchParameters(**selector) if selector else None

    def describe(self) -> dict[str, object]:
        """Return the entries of index.json that describe this vector index."""
        return {"kind": self.kind, "nprobe": self.nprobe, "recall_at_10": self.recall}

    def write(self, path: Path) -> None:
        """Write the FAISS index to a file. Identical indexes produce identical files. Raises OSError."""
        with path.open("wb") as file:  # FAISS's own writer may not report that the disk is full
            _faiss().write_index(self.faiss_index, _faiss().PyCallbackIOWriter(file.write))

    @classmethod
    def read(cls, path: Path, description: Mapping[str, Any]) -> "VectorIndex":
        """Read a FAISS index from a file.

        Args:
            path: path of the FAISS file.
            description: content of index.json, which includes the entries returned by `describe`.

        Raises:
            RuntimeError: the file is missing or damaged.
        """
        faiss_index = _faiss().read_index(str(path))
        return cls(faiss_index, description["kind"], description["nprobe"], description["recall_at_10"])


def exact_nearest(queries: Vectors, vectors: ImageVectors, k: int) -> Neighbours:
    """Find the k images nearest to each query by comparing each query with every image vector.

    Returns:
        Row numbers (q, k) and cosines (q, k) of the nearest images, not sorted.
    """
    best, rows = np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)
    for start in range(0, len(vectors.values), _CHUNK_SIZE):
        cosines = queries @ vectors.take(slice(start, start + _CHUNK_SIZE)).T
        best = np.concatenate([best, cosines], axis=1)
        rows = np.concatenate([rows, np.broadcast_to(np.arange(cosines.shape[1]) + start, cosines.shape)], axis=1)
        kept = np.argpartition(-best, min(k, best.shape[1]) - 1, axis=1)[:, :k]
        best, rows = np.take_along_axis(best, kept, 1), np.take_along_axis(rows, kept, 1)
    return rows, best


def mean_recall(expected: RowIds, found: RowIds) -> float:
    """Return the mean share of expected rows that were found.

    Args:
        expected: (q, k) row numbers from exact search.
        found: (q, n) row numbers from the search to measure.
    """
    return float(_recalls(expected, found).mean())


def _recalls(expected: RowIds, found: RowIds) -> npt.NDArray[np.float64]:
    return np.array([len(np.intersect1d(*pair)) / len(pair[0]) for pair in zip(expected, found, strict=True)])


def _choose_nprobe(index: Any, queries: Vectors, expected: RowIds) -> tuple[int, float]:
    """Choose the number of lists to probe, and return it with the measured recall.

    The number is at most 1/16 larger than the smallest number of lists that reaches the target recall.

    The measured mean recall must exceed the target recall by at least the standard error of the mean, because other
    queries may have a lower recall.
    """

    def measure(nprobe: int) -> tuple[bool, float]:
        found = index.search(queries, expected.shape[1], params=_faiss().SearchParametersIVF(nprobe=nprobe))[1]
        recalls = _recalls(expected, found)
        lower = recalls.mean() - recalls.std() / np.sqrt(len(recalls))
        return nprobe >= index.nlist or bool(lower >= TARGET_RECALL), float(recalls.mean())

    too_few, nprobe = 0, 1
    enough, recall = measure(nprobe)
    while not enough:
        too_few, nprobe = nprobe, min(2 * nprobe, index.nlist)
        enough, recall = measure(nprobe)
    while nprobe - too_few > max(1, nprobe // 16):
        middle = (too_few + nprobe) // 2
        enough, middle_recall = measure(middle)
        too_few, nprobe, recall = (too_few, middle, middle_recall) if enough else (middle, nprobe, recall)
    return nprobe, recall


def _top_k(rows: RowIds, cosines: Cosines, k: int) -> Neighbours:
    """Return the row numbers and values of the k largest cosines, largest first. Ties are sorted by row number."""
    order = np.lexsort((rows, -cosines))[:k]
    return rows[order], cosines[order]


@cache
def _faiss() -> ModuleType:
    """Import FAISS without the log messages of its loader."""
    logging.getLogger("faiss.loader").setLevel(logging.WARNING)
    import faiss

    return faiss
