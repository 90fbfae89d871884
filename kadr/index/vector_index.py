"""Nearest-neighbour search with FAISS: exact for small indexes, with inverted lists for large ones.

Vectors are stored as float16. Above `exact_max` images, they are grouped into lists around k-means centres (IVF, Sivic
and Zisserman 2003). A search probes the `nprobe` nearest lists. `nprobe` is the smallest number that reaches the target
recall, and is raised if a filter or a large k leaves too few results.
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
"""Number of vectors with which recall is measured."""

BRUTE_FORCE_MAX = 20_000
"""Maximum number of filtered rows that are compared one by one, which takes 20 ms for vectors of length 512."""

_LISTS_PER_ROOT = 4  # number of lists per square root of the number of images
_TRAINING_VECTORS_PER_LIST = 40  # FAISS needs at least 39
_CHUNK_SIZE = 65_536  # rows converted to float32 together
_SEED = 1234

RowIds = npt.NDArray[np.int64]
Cosines = npt.NDArray[np.float32]
Neighbours = tuple[RowIds, Cosines]
"""Rows and cosines of the nearest images."""


@dataclass(frozen=True)
class VectorIndex:
    """A FAISS index with inner-product similarity.

    Attributes:
        faiss_index: index over the image vectors, in the order of their rows.
        kind: FAISS factory string.
        nprobe: number of lists that a search probes without a filter; 0 for an exact index.
        recall: recall@10 in comparison with an exact float32 search, measured when the index was built.
    """

    faiss_index: "faiss.Index"
    kind: str
    nprobe: int
    recall: float

    def __post_init__(self) -> None:
        """Let all threads share the lists of a query. By default, FAISS uses one thread per query."""
        if self.nprobe:
            _faiss().extract_index_ivf(self.faiss_index).parallel_mode = 1

    @classmethod
    def build(cls, vectors: ImageVectors, exact_max: int, texts: Vectors | None = None) -> "VectorIndex":
        """Build an index and measure its recall.

        Args:
            vectors: vectors of at least one image.
            exact_max: maximum number of images for exact search.
            texts: (m, d) text vectors with which recall is measured. By default, image vectors are used.
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
        """Find the k nearest images of each query.

        Args:
            queries: (q, d) float32.
            k: number of results, at least 1.
            vectors: vectors of the images.
            rows: rows that may be found, ascending. None for all rows.

        Returns:
            Rows and cosines per query, nearest first. Equal cosines are sorted by row.
        """
        n = len(vectors.values) if rows is None else len(rows)
        if not n:
            return [(np.empty(0, np.int64), np.empty(0, np.float32))] * len(queries)
        k = min(k, n)
        if rows is not None and n <= BRUTE_FORCE_MAX:
            return [_top_k(rows, cosines, k) for cosines in queries @ vectors.take(rows).T]
        nprobe, n_lists = self.nprobe, getattr(self.faiss_index, "nlist", 0)
        if nprobe and rows is not None:  # each list contains fewer of the allowed rows
            nprobe = min(n_lists, -(-nprobe * len(vectors.values) // n))
        while True:
            cosines, neighbours = self.faiss_index.search(queries, k, params=self._parameters(rows, nprobe))
            found = neighbours >= 0
            if nprobe >= n_lists or found.all():
                break
            nprobe = min(2 * nprobe, n_lists)
        return [
            _top_k(neighbours[query][found[query]], cosines[query][found[query]], k) for query in range(len(queries))
        ]

    def _parameters(self, rows: Rows | None, nprobe: int) -> Any:
        faiss = _faiss()
        selector = {} if rows is None else {"sel": faiss.IDSelectorBatch(rows)}
        if nprobe:
            return faiss.SearchParametersIVF(nprobe=nprobe, **selector)
        return faiss.SearchParameters(**selector) if selector else None

    def describe(self) -> dict[str, object]:
        """Return the entries of the index for index.json."""
        return {"kind": self.kind, "nprobe": self.nprobe, "recall_at_10": self.recall}

    def write(self, path: Path) -> None:
        """Write the FAISS index. Equal indexes are written as equal bytes. Raises OSError."""
        with path.open("wb") as file:  # FAISS's own writer does not notice a disk that fills up at the end
            _faiss().write_index(self.faiss_index, _faiss().PyCallbackIOWriter(file.write))

    @classmethod
    def read(cls, path: Path, description: Mapping[str, Any]) -> "VectorIndex":
        """Read a FAISS index.

        Args:
            path: file of the FAISS index.
            description: result of `describe` when the index was written.

        Raises:
            RuntimeError: the file is missing or damaged.
        """
        faiss_index = _faiss().read_index(str(path))
        return cls(faiss_index, description["kind"], description["nprobe"], description["recall_at_10"])


def exact_nearest(queries: Vectors, vectors: ImageVectors, k: int) -> Neighbours:
    """Compare queries with every image vector.

    Returns:
        Rows and cosines of the k nearest images, (q, k) each, unsorted.
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
    """Return the mean share of the expected rows (q, k) that were found (q, any number)."""
    return float(_recalls(expected, found).mean())


def _recalls(expected: RowIds, found: RowIds) -> npt.NDArray[np.float64]:
    return np.array([len(np.intersect1d(*pair)) / len(pair[0]) for pair in zip(expected, found, strict=True)])


def _choose_nprobe(index: Any, queries: Vectors, expected: RowIds) -> tuple[int, float]:
    """Return the smallest number of lists (within 1/16) that reaches the target recall, and its recall.

    The mean recall must exceed the target by its standard error, because other queries may have a lower recall.
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
    """Return the k largest cosines with their rows, largest first. Equal cosines are sorted by row."""
    order = np.lexsort((rows, -cosines))[:k]
    return rows[order], cosines[order]


@cache
def _faiss() -> ModuleType:
    """Import FAISS without the log of its loader."""
    logging.getLogger("faiss.loader").setLevel(logging.WARNING)
    import faiss

    return faiss
