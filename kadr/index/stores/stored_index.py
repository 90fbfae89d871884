"""The vector index of an index whose vectors are in a vector store.

The vector store finds the candidates. Their cosines are computed from the vectors in the folder of the index, so they
do not depend on the precision of the store. If a filter leaves few images, or if a query needs many images, the search
compares the query with the vectors in the folder.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kadr.errors import StoreError
from kadr.index.image_vectors import ImageVectors
from kadr.index.recall import (
    RECALL_K,
    TARGET_RECALL,
    Neighbours,
    exact_nearest,
    reaches_target,
    recall_queries,
    recalls,
    top_k,
)
from kadr.index.stores.vector_store import BATCH_SIZE, MIN_DEPTH, ImageBatch, VectorStore
from kadr.io.embeddings import Rows, Vectors
from kadr.params import VECTOR_STORES, StoreParams
from kadr.progress import progress

logger = logging.getLogger(__name__)

BRUTE_FORCE_MAX = 20_000
"""If a filter leaves at most this number of rows, the search is exact. For vectors of length 512, it takes 20 ms."""

MAX_DEPTH = 8192
"""Maximum number of candidates. A search that needs more candidates is exact."""

_NOT_UPLOADED = ["row", "image_id", "split", "signature"]  # columns of INDEXED_IMAGES
_FOREIGN_SHARE = 0.1  # maximum share of images in the collection that do not belong to the index
_CHUNK_SIZE = 65_536  # number of vectors that are compared at once


@dataclass(frozen=True)
class StoredVectorIndex:
    """The vectors of an index in a vector store. It has the methods of VectorIndex.

    Attributes:
        params: backend, address and collection.
        ids: image IDs in the row order of the index, ascending.
        effort: search effort. Its meaning depends on the vector store.
        recall: recall@10 relative to an exact float32 search, measured when the index was built.
    """

    params: StoreParams
    ids: pa.ChunkedArray
    effort: int
    recall: float

    @classmethod
    def build(
        cls,
        params: StoreParams,
        table: pa.Table,
        vectors: ImageVectors,
        texts: Vectors | None = None,
        *,
        old: "StoredVectorIndex | None" = None,
        old_rows: Rows | None = None,
        new_rows: Rows | None = None,
    ) -> "StoredVectorIndex":
        """Upload new and changed vectors, delete other images from the collection, and measure the recall.

        Args:
            params: backend, address and collection.
            table: image metadata with the schema INDEXED_IMAGES, sorted by image_id, at least one row.
            vectors: image vectors in the row order of `table`.
            texts: (m, d) text vectors used as queries to measure recall. By default, image vectors are used.
            old: previous version of the index in the same collection. None uploads all vectors.
            old_rows: rows in the previous version of the images with the same vectors.
            new_rows: rows of these images in the new version.

        Raises:
            StoreError: the vector store cannot be used, or the collection contains the images of another index.
        """
        ids = table["image_id"]
        unchanged = np.empty(0, np.int64)
        if old is not None and old.params == params and old_rows is not None and new_rows is not None:
            old.store.close()  # a local Qdrant folder can be opened once
            unchanged = new_rows[np.asarray(pc.equal(old.ids.take(old_rows), ids.take(new_rows)))]
        index = cls(params, ids, 0, 0.0)
        with index.store.explain_errors(), closing(index.store):
            index._synchronise(table, vectors, unchanged, old)
            return index._measure(vectors, texts)

    @classmethod
    def read(cls, description: Mapping[str, Any], ids: pa.ChunkedArray) -> "StoredVectorIndex":
        """Return the vector index that index.json describes.

        Args:
            description: content of index.json, which includes the entries returned by `describe`.
            ids: image IDs in the row order of the index, ascending.

        Raises:
            ValueError: the vector store is unknown, or its settings are invalid.
        """
        params = StoreParams.model_validate(description["store"])
        return cls(params, ids, description["effort"], description["recall_at_10"])

    @cached_property
    def store(self) -> VectorStore:
        """The vector store. It is not connected before it is used."""
        store: VectorStore = VECTOR_STORES.load(self.params.backend)(self.params)
        return store

    def search(self, queries: Vectors, k: int, vectors: ImageVectors, rows: Rows | None = None) -> list[Neighbours]:
        """Find the k images nearest to each query.

        Args:
            queries: (q, d) float32 query vectors.
            k: maximum number of results per query, at least 1.
            vectors: vectors of all images in the index.
            rows: row numbers to search in, ascending. None searches all rows.

        Returns:
            For each query, row numbers and cosines, nearest first. Equal cosines are sorted by row number.

        Raises:
            StoreError: the vector store cannot be used.
        """
        n_images = len(self.ids)
        n = n_images if rows is None else len(rows)
        k = min(k, n)
        if not n:
            return [(np.empty(0, np.int64), np.empty(0, np.float32))] * len(queries)
        found: dict[int, Neighbours] = {}
        depth = max(MIN_DEPTH, 1 << (-(-k * n_images // n) - 1).bit_length())
        while len(found) < len(queries) and depth <= MAX_DEPTH and (rows is None or n > BRUTE_FORCE_MAX):
            missing = [query for query in range(len(queries)) if query not in found]
            candidates = self._candidates(queries[missing], depth, self.effort)
            for query, nearest in zip(missing, candidates, strict=True):
                allowed = nearest if rows is None else nearest[np.isin(nearest, rows, assume_unique=True)]
                if len(allowed) >= k:
                    found[query] = top_k(allowed, vectors.take(allowed) @ queries[query], k)
            depth *= 2
        return [
            found[query] if query in found else _exact(queries[query], k, vectors, rows)
            for query in range(len(queries))
        ]

    def describe(self) -> dict[str, object]:
        """Return the entries of index.json that describe this vector index."""
        return {
            "kind": self.params.backend,
            "nprobe": 0,
            "recall_at_10": self.recall,
            "store": self.params.model_dump(),
            "effort": self.effort,
        }

    def write(self, path: Path) -> None:
        """Write nothing: the vector store contains the vectors."""

    def _candidates(self, queries: Vectors, depth: int, effort: int) -> list[Rows]:
        """Return the rows of the `depth` images nearest to each query, ascending."""
        with self.store.explain_errors():
            nearest = self.store.nearest(queries, depth, effort)
        ids = pa.array([image_id for ids in nearest for image_id in ids], pa.string())
        ends = np.cumsum([len(ids) for ids in nearest])
        return [np.unique(rows[rows >= 0]) for rows in np.split(find_rows(self.ids, ids), ends[:-1])]

    def _synchronise(
        self, table: pa.Table, vectors: ImageVectors, unchanged: Rows, old: "StoredVectorIndex | None"
    ) -> None:
        """Make the collection contain exactly the images of the index.

        Args:
            table: image metadata.
            vectors: image vectors.
            unchanged: rows whose vectors the collection contains, unless they were deleted by another program.
            old: previous version of the index, whose images can be deleted.
        """
        store = self.store
        store.create(vectors.dim)
        stored = pa.array(store.list_ids(), pa.string())
        surplus = stored.filter(pc.invert(pc.is_in(stored, value_set=self.ids)))
        foreign = surplus if old is None else surplus.filter(pc.invert(pc.is_in(surplus, value_set=old.ids)))
        if len(foreign) > _FOREIGN_SHARE * len(stored):
            raise StoreError(
                f"{store.address}: {len(foreign):,} of {len(stored):,} images in the collection {store.collection} are "
                f"not in the index, e.g. {foreign[0].as_py()!r}, and would be removed. Set index.store.collection to a "
                "new name, or drop the collection."
            )
        for start in range(0, len(surplus), BATCH_SIZE):
            store.delete(surplus[start : start + BATCH_SIZE].to_pylist())
        is_complete = np.zeros(len(self.ids), bool)
        is_complete[unchanged] = np.asarray(pc.is_in(self.ids.take(unchanged), value_set=stored))
        upload(store, table, vectors, np.flatnonzero(~is_complete))

    def _measure(self, vectors: ImageVectors, texts: Vectors | None) -> "StoredVectorIndex":
        """Return the index with the lowest search effort that reaches the target recall, or with the highest effort.

        As for VectorIndex, the mean recall must exceed the target by its standard error.
        """
        queries = recall_queries(vectors, texts)
        expected = exact_nearest(queries, vectors, RECALL_K)[0]
        for effort in self.store.efforts:
            candidates = self._candidates(queries, MIN_DEPTH, effort)
            measured = recalls(expected, candidates)
            if reaches_target(measured):
                break
        else:
            logger.warning(
                "%s: the recall of the vector store is %.3f, expected %.2f. Improve its index settings.",
                self.store.address,
                measured.mean(),
                TARGET_RECALL,
            )
        return replace(self, effort=effort, recall=float(measured.mean()))


def upload(store: VectorStore, table: pa.Table, vectors: ImageVectors, rows: Rows) -> None:
    """Upload images with their metadata to a vector store, and build its index.

    Args:
        store: vector store with a collection.
        table: image metadata with the schema INDEXED_IMAGES.
        vectors: image vectors in the row order of `table`.
        rows: rows to upload, ascending.
    """
    columns = table.drop_columns(_NOT_UPLOADED)

    def batches() -> Iterator[ImageBatch]:
        for start in range(0, len(rows), BATCH_SIZE):
            batch = rows[start : start + BATCH_SIZE]
            metadata = [_to_document(row) for row in columns.take(batch).to_pylist()]
            yield ImageBatch(table["image_id"].take(batch).to_pylist(), vectors.take(batch), metadata)
            advance(len(batch))

    with progress("upload images", len(rows)) as advance:
        store.upload(batches())
    store.optimise()


def find_rows(ids: pa.ChunkedArray, wanted: pa.Array) -> Rows:
    """Return the position of each wanted ID, or -1 for an unknown ID.

    Args:
        ids: unique IDs, ascending.
        wanted: (n,) IDs in any order.

    >>> find_rows(pa.chunked_array([["a", "c", "d"]]), pa.array(["d", "b", "a"]))
    array([ 2, -1,  0])
    """
    low, high = np.zeros(len(wanted), np.int64), np.full(len(wanted), len(ids))
    while (is_open := low < high).any():  # binary search for all IDs at once
        middle = (low + high) // 2
        is_less = is_open & np.asarray(pc.less(ids.take(np.minimum(middle, len(ids) - 1)), wanted))
        low, high = np.where(is_less, middle + 1, low), np.where(is_open & ~is_less, middle, high)
    is_found = np.asarray(pc.equal(ids.take(np.minimum(low, len(ids) - 1)), wanted))
    return np.where(is_found, low, -1)


def _to_document(row: Mapping[str, Any]) -> dict[str, Any]:
    """Convert the metadata of an image to a JSON object without nulls."""
    return {
        name: value.isoformat() if hasattr(value, "isoformat") else value
        for name, value in row.items()
        if value is not None
    }


def _exact(query: Vectors, k: int, vectors: ImageVectors, rows: Rows | None) -> Neighbours:
    """Find the k images nearest to one query (d,) by comparing it with all vectors, or with the given rows."""
    n = len(vectors.values) if rows is None else len(rows)
    best: Neighbours = (np.empty(0, np.int64), np.empty(0, np.float32))
    for start in range(0, n, _CHUNK_SIZE):
        part = slice(start, min(n, start + _CHUNK_SIZE))
        chunk = np.arange(part.start, part.stop) if rows is None else rows[part]
        cosines = vectors.take(part if rows is None else chunk) @ query
        vectors.release()
        best = top_k(np.concatenate([best[0], chunk]), np.concatenate([best[1], cosines]), k)
    return best
