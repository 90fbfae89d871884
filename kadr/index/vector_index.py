"""Nearest-neighbour search with FAISS: exact search in small indexes, and inverted lists (IVF) in large indexes.

Vectors are stored as float16. An index of more than `exact_max` images groups the vectors into lists around k-means
centres, and a search probes the `nprobe` nearest lists. If a filter or a large k leaves too few results, the search
probes more lists.

If float16 vectors do not fit into the memory budget, the index contains RaBitQ codes of 1 to 4 bits per dimension. A
search then takes more candidates than results, and computes the cosines of the candidates from the memory-mapped
float16 vectors. `nprobe` and the number of candidates are the cheapest that reach the target recall.
"""

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from kadr.index.image_vectors import ImageVectors
from kadr.index.inverted_lists import (
    EXACT,
    build_exact,
    build_lists,
    change_rows,
    choose_kinds,
    compare,
    extract_lists,
    index_size,
    is_compact,
    is_same_encoding,
    load_faiss,
    select_rows,
)
from kadr.index.recall import (
    RECALL_K,
    TARGET_RECALL,
    Neighbours,
    RowIds,
    exact_nearest,
    mean_recall,
    reaches_target,
    recall_queries,
    recalls,
    top_k,
)
from kadr.io.embeddings import Rows, Vectors

logger = logging.getLogger(__name__)

BRUTE_FORCE_RATIO = 500
"""If a filter leaves at most one image of this number, reading all vectors that pass is faster than a FAISS search."""

MIN_DEPTH = 384
"""Minimum number of candidates whose cosines are computed from the float16 vectors.

Fewer candidates often contain the 10 nearest images, but too few of the 100 images that the relevance model reranks.
"""

MAX_DEPTH = 1024
"""Maximum number of candidates of a search for up to 128 images."""

_DEPTH_K = 128  # number of results up to which a search has `depth` candidates
_CANDIDATE_COST = 50  # reading a vector takes as long as comparing the query with this number of RaBitQ codes
_ROWS_AT_ONCE = 16_384  # number of candidates whose vectors are in memory at once
_GROWTH_STEPS = 20  # the recall is measured again after each 5 % of changed images


@dataclass(frozen=True)
class VectorIndex:
    """A FAISS index with inner-product similarity.

    Attributes:
        faiss_index: FAISS index of the image vectors, in the row order of the table.
        kind: FAISS factory string.
        nprobe: number of lists that a search without a filter probes. 0 for an exact index.
        recall: recall@10 relative to an exact float32 search, measured when the index was built.
        depth: number of candidates of a search for up to 128 images, whose cosines are computed from the float16
            vectors. 0 if the FAISS index itself contains float16 vectors.
        n_trained: number of images from which the lists were built. 0 for an exact index.
        n_changed: number of images that were added or removed since then.
    """

    faiss_index: Any
    kind: str
    nprobe: int
    recall: float
    depth: int = 0
    n_trained: int = 0
    n_changed: int = 0

    def __post_init__(self) -> None:
        """Make FAISS search the lists of a query in parallel. By default, FAISS uses one thread per query."""
        if self.nprobe:
            extract_lists(self.faiss_index).parallel_mode = 1

    @classmethod
    def build(
        cls,
        vectors: ImageVectors,
        exact_max: int,
        texts: Vectors | None = None,
        *,
        memory_gb: float | None = None,
        folder: Path | None = None,
    ) -> "VectorIndex":
        """Build an index and measure its recall.

        Args:
            vectors: image vectors, at least one.
            exact_max: maximum number of images for exact search.
            texts: (m, d) text vectors used as queries to measure recall. By default, image vectors are used.
            memory_gb: memory of the vector index in GB (1e9 bytes). None is no limit.
            folder: folder for intermediate files, which take about as much space as the index. An interrupted build of
                the same vectors resumes with these files. The caller deletes the folder when the index is written.
                None uses a temporary folder.
        """
        n_images = len(vectors.values)
        kinds = choose_kinds(n_images, vectors.dim, exact_max, memory_gb)
        queries = recall_queries(vectors, texts)
        expected = exact_nearest(queries, vectors, RECALL_K)[0]
        if kinds == [EXACT]:
            faiss_index = build_exact(vectors)
            return cls(faiss_index, EXACT, 0, mean_recall(expected, faiss_index.search(queries, expected.shape[1])[1]))
        for kind in kinds:
            with TemporaryDirectory() as temporary:
                faiss_index = build_lists(kind, vectors, folder or Path(temporary))
            untuned = cls(faiss_index, kind, 1, 0.0, n_trained=n_images)
            tuned, is_enough = untuned._choose_effort(queries, expected)
            logger.info("%s", tuned.describe())
            if is_enough:
                break
        tuned._warn(vectors.dim, memory_gb, is_enough=is_enough)
        return tuned

    def update(
        self,
        old_rows: Rows,
        new_rows: Rows,
        vectors: ImageVectors,
        exact_max: int,
        texts: Vectors | None = None,
        *,
        memory_gb: float | None = None,
        folder: Path | None = None,
    ) -> "VectorIndex":
        """Remove, renumber and add images. The FAISS index is changed in place, so do not use this object afterwards.

        The lists are built again if the collection has changed so much that they no longer fit: if another kind of
        index is necessary, or if more images were added and removed than the lists were built from.

        Args:
            old_rows: (m,) row number of each kept image in this index. The vectors of kept images are unchanged.
            new_rows: (m,) row number of each kept image in `vectors`.
            vectors: vectors of all images after the update. Rows that are not in `new_rows` are added.
            exact_max: maximum number of images for exact search.
            texts: text vectors, as for `build`.
            memory_gb: memory of the vector index, as for `build`.
            folder: folder for intermediate files, as for `build`.
        """
        n_images = len(vectors.values)
        n_changed = self.n_changed + n_images + self.faiss_index.ntotal - 2 * len(new_rows)
        is_current = self.is_current(n_images, vectors.dim, exact_max, memory_gb)
        if not self.nprobe or not is_current or n_changed > self.n_trained:
            return self.build(vectors, exact_max, texts, memory_gb=memory_gb, folder=folder)
        change_rows(self.faiss_index, old_rows, new_rows, vectors)
        updated = replace(self, n_changed=n_changed)
        if n_changed * _GROWTH_STEPS // self.n_trained == self.n_changed * _GROWTH_STEPS // self.n_trained:
            return updated
        queries = recall_queries(vectors, texts)
        updated, is_enough = updated._choose_effort(queries, exact_nearest(queries, vectors, RECALL_K)[0])
        return updated if is_enough else self.build(vectors, exact_max, texts, memory_gb=memory_gb, folder=folder)

    def is_current(self, n_images: int, dim: int, exact_max: int, memory_gb: float | None) -> bool:
        """Return whether a new index would have the same kind.

        Args:
            n_images: number of images of the new index.
            dim: number of dimensions of a vector.
            exact_max: maximum number of images for exact search.
            memory_gb: memory of the vector index in GB. None is no limit.
        """
        kinds = choose_kinds(n_images, dim, exact_max, memory_gb)
        return any(is_same_encoding(self.kind, kind) for kind in kinds)

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
        if rows is not None and n * BRUTE_FORCE_RATIO <= len(vectors.values):
            return [top_k(rows, cosines, k) for cosines in queries @ vectors.take(rows).T]
        nprobe, n_lists = self.nprobe, self._n_lists
        if nprobe and rows is not None:  # each list contains fewer rows that pass the filter
            nprobe = min(n_lists, -(-nprobe * len(vectors.values) // n))
        while True:
            cosines, neighbours = self.faiss_index.search(
                queries, self._n_candidates(k, n), params=self._parameters(rows, nprobe)
            )
            is_result = neighbours >= 0  # FAISS returns -1 for a missing result
            if nprobe >= n_lists or (is_result.sum(axis=1) >= k).all():
                break
            nprobe = min(2 * nprobe, n_lists)
        found = [(neighbours[i, is_result[i]], cosines[i, is_result[i]]) for i in range(len(queries))]
        if self.depth:
            found = [
                _rescore(query, candidates, vectors) for query, (candidates, _) in zip(queries, found, strict=True)
            ]
            vectors.release()
        return [top_k(query_rows, query_cosines, k) for query_rows, query_cosines in found]

    def describe(self) -> dict[str, object]:
        """Return the entries of index.json that describe this vector index."""
        return {
            "kind": self.kind,
            "nprobe": self.nprobe,
            "recall_at_10": self.recall,
            "depth": self.depth,
            "n_trained": self.n_trained,
            "n_changed": self.n_changed,
        }

    def write(self, path: Path) -> None:
        """Write the FAISS index to a file. Identical indexes produce identical files. Raises OSError."""
        faiss = load_faiss()
        with path.open("wb") as file:  # FAISS's own writer may not report that the disk is full
            faiss.write_index(self.faiss_index, faiss.PyCallbackIOWriter(file.write))

    @classmethod
    def read(cls, path: Path, description: Mapping[str, Any]) -> "VectorIndex":
        """Read a FAISS index from a file.

        Args:
            path: path of the FAISS file.
            description: content of index.json, which includes the entries returned by `describe`.

        Raises:
            RuntimeError: the file is missing or damaged.
        """
        faiss_index = load_faiss().read_index(str(path))
        kind, nprobe = description["kind"], description["nprobe"]
        n_trained = description.get("n_trained", faiss_index.ntotal if nprobe else 0)  # missing in older indexes
        return cls(
            faiss_index,
            kind,
            nprobe,
            description["recall_at_10"],
            description.get("depth", 0),
            n_trained,
            description.get("n_changed", 0),
        )

    @property
    def _n_lists(self) -> int:
        return int(extract_lists(self.faiss_index).nlist) if self.nprobe else 0

    def _n_candidates(self, k: int, n: int) -> int:
        """Return the number of candidates of a search for k of n images.

        The number is the same for all k between two powers of two, so that the pages of a query fit together.
        """
        if not self.depth:
            return k
        n_results = max(_DEPTH_K, 1 << (k - 1).bit_length())
        return min(n, n_results + round((self.depth - _DEPTH_K) * math.sqrt(n_results / _DEPTH_K)))

    def _parameters(self, rows: Rows | None, nprobe: int) -> Any:
        faiss = load_faiss()
        selector = {} if rows is None else {"sel": select_rows(rows, self.faiss_index.ntotal)}
        if nprobe:
            return faiss.SearchParametersIVF(nprobe=nprobe, **selector)
        return faiss.SearchParameters(**selector) if selector else None

    def _choose_effort(self, queries: Vectors, expected: RowIds) -> tuple["VectorIndex", bool]:
        """Choose `nprobe` and `depth`. Return the index with its recall, and whether it reaches the target recall."""
        if not is_compact(self.kind):
            depth = expected.shape[1]
            nprobe, recall, is_enough = choose_nprobe(self.faiss_index, self._n_lists, queries, expected, depth)
            return replace(self, nprobe=nprobe, recall=recall), is_enough
        depth = min(MAX_DEPTH, self.faiss_index.ntotal)
        nprobe, recall, is_enough = choose_nprobe(self.faiss_index, self._n_lists, queries, expected, depth)
        if is_enough:
            nprobe, depth, recall = choose_depth(self.faiss_index, self._n_lists, queries, expected, nprobe)
        return replace(self, nprobe=nprobe, depth=depth, recall=recall), is_enough

    def _warn(self, dim: int, memory_gb: float | None, *, is_enough: bool) -> None:
        """Log a warning if the index needs more memory than its budget, or if it does not reach the target recall."""
        n_images = self.faiss_index.ntotal
        size_gb = index_size(self.kind, n_images, dim) / 1e9
        if memory_gb is not None and size_gb > memory_gb:
            logger.warning(
                "The vector index of %d images needs %.2f GB of memory, more than index.memory_gb: %g. A smaller index "
                "would have a recall@10 below %.2f. Set index.memory_gb to at least %.2f.",
                *(n_images, size_gb, memory_gb, TARGET_RECALL, size_gb),
            )
        if not is_enough:
            logger.warning(
                "The vector index has a recall@10 of %.3f, expected at least %.2f. To store more precise vectors, "
                "increase index.memory_gb.",
                *(self.recall, TARGET_RECALL),
            )


def choose_nprobe(index: Any, n_lists: int, queries: Vectors, expected: RowIds, depth: int) -> tuple[int, float, bool]:
    """Choose the number of lists to probe.

    The number is at most 1/16 larger than the smallest number of lists that reaches the target recall.

    Args:
        index: FAISS index with inverted lists.
        n_lists: number of all lists.
        queries: (q, d) query vectors.
        expected: (q, k) row numbers from exact search.
        depth: number of candidates, among which the expected rows must be.

    Returns:
        The number of lists, the measured recall, and whether the recall reaches the target. If it does not, the number
        of lists is the number of all lists.
    """

    def measure(nprobe: int) -> tuple[bool, float]:
        values = recalls(expected, _search_lists(index, queries, depth, nprobe))
        return reaches_target(values), float(values.mean())

    too_few, nprobe = 0, 1
    is_enough, recall = measure(nprobe)
    while not is_enough and nprobe < n_lists:
        too_few, nprobe = nprobe, min(2 * nprobe, n_lists)
        is_enough, recall = measure(nprobe)
    while is_enough and nprobe - too_few > max(1, nprobe // 16):
        middle = (too_few + nprobe) // 2
        is_middle_enough, middle_recall = measure(middle)
        too_few, nprobe, recall = (too_few, middle, middle_recall) if is_middle_enough else (middle, nprobe, recall)
    return nprobe, recall, is_enough


def choose_depth(index: Any, n_lists: int, queries: Vectors, expected: RowIds, nprobe: int) -> tuple[int, int, float]:
    """Choose the cheapest combination of lists and candidates that reaches the target recall.

    Args:
        index: FAISS index with inverted lists of RaBitQ codes.
        n_lists: number of all lists.
        queries: (q, d) query vectors.
        expected: (q, k) row numbers from exact search.
        nprobe: smallest number of lists that reaches the target recall with MAX_DEPTH candidates.

    Returns:
        The number of lists, the number of candidates, and the measured recall.
    """
    choices = []
    for factor in (1, 1.125, 1.25, 1.5, 2):
        n_probed = min(n_lists, int(np.ceil(factor * nprobe)))
        found = _search_lists(index, queries, min(MAX_DEPTH, index.ntotal), n_probed)
        for depth in (*range(MIN_DEPTH, found.shape[1], MIN_DEPTH // 4), found.shape[1]):
            values = recalls(expected, found[:, :depth])
            if reaches_target(values):
                cost = n_probed * index.ntotal / n_lists + _CANDIDATE_COST * depth
                choices.append((cost, n_probed, depth, float(values.mean())))
                break
    return min(choices)[1:]


def _search_lists(index: Any, queries: Vectors, k: int, nprobe: int) -> RowIds:
    found: RowIds = index.search(queries, k, params=load_faiss().SearchParametersIVF(nprobe=nprobe))[1]
    return found


def _rescore(query: Vectors, rows: RowIds, vectors: ImageVectors) -> Neighbours:
    """Return the row numbers in ascending order, which is the fastest order to read a file, and their cosines."""
    rows = np.sort(rows)
    blocks = [rows[start : start + _ROWS_AT_ONCE] for start in range(0, len(rows), _ROWS_AT_ONCE)]
    return rows, np.concatenate([compare(query, vectors.take_half(block)) for block in blocks])
