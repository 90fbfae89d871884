"""The embedding cache, which stores computed vectors, so that an encoder does not embed an image or text twice.

Each encoder has a folder `<root>/vectors/<identity key>/` with shards and a readable `identity.json`. Several processes
can write to the cache at the same time. If a process is killed, only the batch that it was computing is lost.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kadr.embed.shards import OK, ROW_GROUP, ShardFormat, Shards, pack_keys
from kadr.encoders.base import Identity
from kadr.errors import CacheError
from kadr.io.embeddings import Rows, Vectors
from kadr.io.storage import Folder, Location
from kadr.user_folders import user_folders

VECTORS, IDENTITY = "vectors", "identity.json"
_MAX_KEYS = 4_000_000  # number of shard keys in memory at the same time, about 100 bytes per key
_MAX_TRIES = 10


@dataclass(frozen=True)
class CacheLookup:
    """Result of a cache lookup for n keys.

    Attributes:
        status: status of each key, (n,) strings: `ok`, the reason why the image cannot be decoded, or an empty string
            if the cache does not contain the key.
        vectors: vector of each key, (n, d) float32. The vector is zero unless the status is `ok`.
    """

    status: npt.NDArray[np.object_]
    vectors: Vectors

    @property
    def missing(self) -> Rows:
        """Row numbers of the keys that are not in the cache."""
        return np.flatnonzero(self.status == "")


def cache_root() -> str:
    """Return the folder or URI of the cache: $KADR_CACHE if set, otherwise the user's cache folder for kadr."""
    return user_folders().embeddings


class EmbeddingCache:
    """The cached vectors of one encoder.

    Args:
        root: folder or URI of the cache.
        identity: identity of the encoder.
        dim: length of each vector.
        dtype: number format of the stored vectors: float32 or float16.

    Raises:
        CacheError: the folder is not writable.
    """

    def __init__(self, root: Location, identity: Identity, dim: int, dtype: str = "float32") -> None:
        self.identity = identity
        self.format = ShardFormat(dim, dtype)
        name = identity.key if dtype == "float32" else f"{identity.key}-{dtype}"
        self.shards = Shards(Folder(root) / VECTORS / name, self.format)
        description = {**identity.metadata, "dim": dim, "dtype": dtype}
        with self.shards.explain_errors("written"):
            self.shards.folder.create()
            self.shards.folder.write(IDENTITY, json.dumps(description, indent=2, ensure_ascii=False).encode())

    def append(self, keys: Sequence[str], vectors: Vectors, statuses: Sequence[str] | None = None) -> str:
        """Write vectors to a new shard.

        Args:
            keys: SHA-256 hashes of n images or texts, as hexadecimal strings.
            vectors: vector of each key, (n, d).
            statuses: status of each key. If None, the status of every key is `ok`.

        Returns:
            Name of the new shard.

        Raises:
            CacheError: the shard cannot be written.
        """
        return self.shards.write(self.format.to_table(keys, statuses or [OK] * len(keys), vectors))

    def lookup(self, keys: Sequence[str]) -> CacheLookup:
        """Look up the status and the vector of each key.

        The lookup reads shards one row group at a time to save memory. A damaged shard is renamed with a warning, and
        its keys are reported as missing.

        Args:
            keys: SHA-256 hashes of n images or texts, as hexadecimal strings.

        Raises:
            CacheError: another process keeps deleting shards during the lookup.
        """
        wanted = pack_keys(keys)
        for _ in range(_MAX_TRIES):
            lookup = CacheLookup(np.full(len(keys), "", object), np.zeros((len(keys), self.format.dim), np.float32))
            try:
                for names, shard_keys in self._read_keys() if len(keys) else ():
                    self._fill(lookup, names, shard_keys, wanted)
            except FileNotFoundError:
                continue  # another process has merged the shard into a new shard
            return lookup
        raise CacheError(
            f"{self.shards.folder}: another process deleted shards during the lookup. Stop the other process."
        )

    def _read_keys(self) -> "Iterator[tuple[list[str], list[pa.ChunkedArray]]]":
        """Yield the names and the keys of all shards, in groups of about _MAX_KEYS keys."""
        names: list[str] = []
        keys: list[pa.ChunkedArray] = []
        for name, _ in self.shards.sizes():
            table = self.shards.read(name, ["key"])
            if table is None:
                continue
            names.append(name)
            keys.append(table.column("key"))
            if sum(map(len, keys)) >= _MAX_KEYS:
                yield names, keys
                names, keys = [], []
        if names:
            yield names, keys

    def _fill(
        self, lookup: CacheLookup, names: list[str], shard_keys: "list[pa.ChunkedArray]", wanted: pa.Array
    ) -> None:
        """Copy the rows of the requested keys from a group of shards to the lookup."""
        keys = pa.concat_arrays([chunk for column in shard_keys for chunk in column.chunks])
        rows = pc.index_in(wanted, value_set=keys)
        targets = np.flatnonzero(rows.is_valid().to_numpy(zero_copy_only=False))
        sources = rows.drop_null().to_numpy().astype(np.int64)
        order = np.argsort(sources, kind="stable")
        targets, sources = targets[order], sources[order]
        starts = np.cumsum([0, *map(len, shard_keys)])
        edges = np.searchsorted(sources, starts)
        for name, start, first, last in zip(names, starts, edges, edges[1:], strict=False):
            if first < last:
                self._copy(lookup, name, targets[first:last], sources[first:last] - start)

    def _copy(self, lookup: CacheLookup, name: str, targets: Rows, sources: Rows) -> None:
        """Copy the sorted rows `sources` of a shard to the rows `targets` of the lookup, one row group at a time."""
        groups = sources // ROW_GROUP
        for group in np.unique(groups):
            first, last = np.searchsorted(groups, [group, group + 1])
            table = self.shards.read(name, ["status", "vector"], [int(group)])
            if table is None:
                return
            group_rows, target_rows = sources[first:last] - group * ROW_GROUP, targets[first:last]
            lookup.vectors[target_rows] = self.format.to_vectors(table)[group_rows]
            lookup.status[target_rows] = table.column("status").to_numpy()[group_rows]
