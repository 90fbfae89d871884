"""The embed part's writer: collects vectors and hands them to the cache, a few hundred in a shard."""

from collections.abc import Sequence
from types import TracebackType
from typing import Self

import numpy as np

from kadr.embed.cache import EmbeddingCache
from kadr.embeddings import Vectors

SHARD = 512
"""Vectors in a shard: what a killed process loses at most, beside the batch in flight."""


class Writer:
    """A context; what it was given is in the cache at its end, however that comes."""

    def __init__(self, cache: EmbeddingCache, shard: int = SHARD) -> None:
        self._cache = cache
        self._shard = shard
        self._keys: list[str] = []
        self._vectors: list[Vectors] = []

    def add(self, keys: Sequence[str], vectors: Vectors) -> None:
        """Take n keys and their vectors (n, d)."""
        self._keys += keys
        self._vectors.append(vectors)
        if len(self._keys) >= self._shard:
            self._flush()

    def _flush(self) -> None:
        if self._keys:
            self._cache.append(self._keys, np.concatenate(self._vectors))
            self._keys, self._vectors = [], []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._flush()
