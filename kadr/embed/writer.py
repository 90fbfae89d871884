"""The embed part's writer: every batch is a small shard at once, and small shards soon become one."""

import threading
from collections.abc import Sequence
from itertools import chain
from types import TracebackType
from typing import Self

import numpy as np

from kadr.embed.cache import EmbeddingCache
from kadr.embed.compaction import compact, n_small
from kadr.io.embeddings import Vectors

MERGED = 4096
"""Vectors after which a writer replaces its small shards by one."""
UNTIDY = 64
"""Shards that are not full after which a writer compacts the cache at its end."""


class Writer:
    """A context that many threads may give batches to; what it was given is in the cache when `add` returns."""

    def __init__(self, cache: EmbeddingCache, merged: int = MERGED) -> None:
        self._cache = cache
        self._merged = merged
        self._lock = threading.Lock()
        self._small: list[str] = []
        self._batches: list[tuple[Sequence[str], Vectors, Sequence[str]]] = []

    def add(self, keys: Sequence[str], vectors: Vectors, statuses: Sequence[str]) -> None:
        """Write n keys, their vectors (n, d) and statuses."""
        with self._lock:
            self._small.append(self._cache.append(keys, vectors, statuses))
            self._batches.append((keys, vectors, statuses))
            if sum(len(batch) for batch, _, _ in self._batches) >= self._merged:
                self._merge()

    def _merge(self) -> None:
        """Write all batches as one shard, then delete theirs."""
        if len(self._small) > 1:
            keys, vectors, statuses = zip(*self._batches, strict=True)
            merged = self._cache.append([*chain(*keys)], np.concatenate(vectors), [*chain(*statuses)])
            for name in set(self._small) - {merged}:
                self._cache.shards.delete(name)
        self._small, self._batches = [], []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._merge()
        if n_small(self._cache.shards) > UNTIDY:
            compact(self._cache.shards)
