"""Write batches to the embedding cache. Each batch is saved immediately as a shard. Small shards are merged later."""

import threading
from collections.abc import Sequence
from itertools import chain
from types import TracebackType
from typing import Self

import numpy as np

from kadr.embed.cache import EmbeddingCache
from kadr.embed.compaction import compact, count_small
from kadr.io.embeddings import Vectors

MERGE_AFTER = 4096
"""Number of vectors after which a writer merges the shards of its batches."""
COMPACT_AFTER = 64
"""Maximum number of small shards that a writer leaves in the cache without compacting the cache."""


class ShardWriter:
    """Context manager that writes batches to the cache. Several threads can use the same writer.

    Args:
        cache: cache to write to.
        merge_after: number of vectors after which the shards of the batches are merged.
    """

    def __init__(self, cache: EmbeddingCache, merge_after: int = MERGE_AFTER) -> None:
        self._cache = cache
        self._merge_after = merge_after
        self._lock = threading.Lock()
        self._shards: list[str] = []
        self._batches: list[tuple[Sequence[str], Vectors, Sequence[str]]] = []

    def add(self, keys: Sequence[str], vectors: Vectors, statuses: Sequence[str]) -> None:
        """Write one batch to the cache. The batch is stored when the method returns.

        Args:
            keys: SHA-256 hashes of n images or texts, as hexadecimal strings.
            vectors: vector of each key, (n, d).
            statuses: status of each key.
        """
        with self._lock:
            self._shards.append(self._cache.append(keys, vectors, statuses))
            self._batches.append((keys, vectors, statuses))
            if sum(len(batch) for batch, _, _ in self._batches) >= self._merge_after:
                self._merge()

    def _merge(self) -> None:
        """Write all batches to one shard, and then delete the shards of the individual batches."""
        if len(self._shards) > 1:
            keys, vectors, statuses = zip(*self._batches, strict=True)
            merged = self._cache.append([*chain(*keys)], np.concatenate(vectors), [*chain(*statuses)])
            for name in set(self._shards) - {merged}:
                self._cache.shards.delete(name)
        self._shards, self._batches = [], []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._merge()
        if count_small(self._cache.shards) > COMPACT_AFTER:
            compact(self._cache.shards)
