"""The embed part's cache: a vector per content, so that no photo or text is embedded twice by one encoder.

`<root>/vectors/<identity key>/` holds `identity.json`, for people, and shards. Any number of processes may write at
once, and one that is killed loses the batch in flight and harms none.
"""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kadr.embed.shards import OK, ROW_GROUP, Format, Shards, pack
from kadr.encoders.base import Identity
from kadr.errors import CacheError
from kadr.io.embeddings import Rows, Vectors
from kadr.io.storage import Folder, Location

VECTORS, IDENTITY = "vectors", "identity.json"
_KEYS_AT_ONCE = 4_000_000  # keys of the cache that are in memory at once: about 100 bytes each with their hash table
_TRIES = 10


@dataclass(frozen=True)
class Found:
    """What a cache has of n keys.

    Attributes:
        status: (n,) of str: ok, or why there is no vector; empty where the key is not there.
        vectors: (n, d) float32; zero where the status is not ok.
    """

    status: npt.NDArray[np.object_]
    vectors: Vectors

    @property
    def missing(self) -> Rows:
        """Rows of the keys that are not there."""
        return np.flatnonzero(self.status == "")


def cache_root() -> str:
    """Where caches lie: $KADR_CACHE (a folder or a URI), else $XDG_CACHE_HOME/kadr, else ~/.cache/kadr."""
    own = os.environ.get("KADR_CACHE")
    return own or str(Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kadr")


class EmbeddingCache:
    """The vectors of one encoder: `dim` numbers each, kept as `dtype` (float32 or float16).

    Raises:
        CacheError: where the folder cannot be written.
    """

    def __init__(self, root: Location, identity: Identity, dim: int, dtype: str = "float32") -> None:
        self.identity = identity
        self.format = Format(dim, dtype)
        name = identity.key if dtype == "float32" else f"{identity.key}-{dtype}"
        self.shards = Shards(Folder(root) / VECTORS / name, self.format)
        about = {**identity.metadata, "dim": dim, "dtype": dtype}
        with self.shards.working("written"):
            self.shards.folder.make()
            self.shards.folder.write(IDENTITY, json.dumps(about, indent=2, ensure_ascii=False).encode())

    def append(self, keys: Sequence[str], vectors: Vectors, statuses: Sequence[str] | None = None) -> str:
        """Add a shard of n keys (hexadecimal sha256), their vectors (n, d) and statuses (all ok by default); its name.

        Raises:
            CacheError: where it cannot be written.
        """
        return self.shards.write(self.format.table(keys, statuses or [OK] * len(keys), vectors))

    def lookup(self, keys: Sequence[str]) -> Found:
        """The status and the vector of each of n keys.

        Beside the result (n x d x 4 bytes) and the keys of both sides, one row group is in memory. A damaged shard is
        set aside with a warning, and what was in it counts as not there.
        """
        wanted = pack(keys)
        for _ in range(_TRIES):
            found = Found(np.full(len(keys), "", object), np.zeros((len(keys), self.format.dim), np.float32))
            try:
                for names, there in self._keys() if len(keys) else ():
                    self._fill(found, names, there, wanted)
            except FileNotFoundError:
                continue  # another process has compacted a shard: what was in it is in another one now
            return found
        raise CacheError(f"{self.shards.folder}: files vanish while they are read; does something delete them?")

    def _keys(self) -> "Iterator[tuple[list[str], list[pa.ChunkedArray]]]":
        """Names of some shards and the keys of each, a bounded number at a time."""
        names: list[str] = []
        keys: list[pa.ChunkedArray] = []
        for name, _ in self.shards.sizes():
            table = self.shards.read(name, ["key"])
            if table is None:
                continue
            names.append(name)
            keys.append(table.column("key"))
            if sum(map(len, keys)) >= _KEYS_AT_ONCE:
                yield names, keys
                names, keys = [], []
        if names:
            yield names, keys

    def _fill(self, found: Found, names: list[str], keys: "list[pa.ChunkedArray]", wanted: pa.Array) -> None:
        """Put into `found` what the shards `names`, which hold `keys`, have of the keys that are wanted."""
        there = pa.concat_arrays([chunk for column in keys for chunk in column.chunks])
        rows = pc.index_in(wanted, value_set=there)
        targets = np.flatnonzero(rows.is_valid().to_numpy(zero_copy_only=False))
        sources = rows.drop_null().to_numpy().astype(np.int64)
        order = np.argsort(sources, kind="stable")
        targets, sources = targets[order], sources[order]
        starts = np.cumsum([0, *map(len, keys)])
        edges = np.searchsorted(sources, starts)
        for name, start, first, last in zip(names, starts, edges, edges[1:], strict=False):
            if first < last:
                self._copy(found, name, targets[first:last], sources[first:last] - start)

    def _copy(self, found: Found, name: str, targets: Rows, sources: Rows) -> None:
        """Put the sorted rows `sources` of a shard into the rows `targets`, one row group at a time."""
        groups = sources // ROW_GROUP
        for group in np.unique(groups):
            first, last = np.searchsorted(groups, [group, group + 1])
            table = self.shards.read(name, ["status", "vector"], [int(group)])
            if table is None:
                return
            rows, into = sources[first:last] - group * ROW_GROUP, targets[first:last]
            found.vectors[into] = self.format.vectors(table)[rows]
            found.status[into] = table.column("status").to_numpy()[rows]
