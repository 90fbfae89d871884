"""The embedding cache, which stores computed vectors, so that an encoder does not embed an image or text twice.

Each encoder has a folder `<root>/vectors/<identity key>/` with shards and a readable `identity.json`. Several processes
can write to the cache at the same time. If a process is killed, only the batch that it was computing is lost.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kadr.embed.shards import OK, ROW_GROUP, ShardFormat, Shards, pack_keys
from kadr.encoders.base import Identity
from kadr.errors import CacheError
from kadr.io.embeddings import FloatVectors, Rows, Vectors
from kadr.io.mapped_arrays import release_pages
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
        lookup = CacheLookup(self.read_statuses(keys), np.zeros((len(keys), self.format.dim), np.float32))
        rows = np.flatnonzero(lookup.status == OK)
        is_read = self._copy(pack_keys([keys[row] for row in rows.tolist()]), lookup.vectors, rows)
        lookup.status[rows[~is_read]] = ""  # the shard is damaged, or another process has deleted it
        return lookup

    def read_statuses(self, keys: Sequence[str]) -> npt.NDArray[np.object_]:
        """Look up the status of each key, as in `lookup`, without the vectors: (n,) strings."""
        statuses = np.full(len(keys), "", object)

        def store(table: pa.Table, targets: Rows) -> None:
            statuses[targets] = table.column("status").to_numpy()

        self._scan(pack_keys(keys), ["status"], store)
        return statuses

    def copy(self, keys: pa.Array, out: FloatVectors, targets: Rows) -> None:
        """Copy vectors to rows of an array, one row group of a shard at a time.

        Args:
            keys: (m,) packed keys with the status `ok`, see `pack_keys`.
            out: (n, d) array, which can be memory-mapped.
            targets: (m,) rows of `out`.

        Raises:
            CacheError: a vector is no longer in the cache.
        """
        is_read = self._copy(keys, out, targets)
        if not is_read.all():
            raise CacheError(
                f"{self.shards.folder}: {np.count_nonzero(~is_read):,} vectors are no longer in the cache, because a "
                "file is damaged or was deleted. Run the command again to compute these vectors."
            )

    def _copy(self, keys: pa.Array, out: FloatVectors, targets: Rows) -> npt.NDArray[np.bool_]:
        """Copy the vectors that the cache contains to rows of an array. Return whether each vector was copied."""
        is_read = np.zeros(len(keys), np.bool_)

        def store(table: pa.Table, positions: Rows) -> None:
            out[targets[positions]] = self.format.to_vectors(table)
            is_read[positions] = True
            release_pages(out)

        self._scan(keys, ["vector"], store)
        return is_read

    def _scan(self, wanted: pa.Array, columns: Sequence[str], store: Callable[[pa.Table, Rows], None]) -> None:
        """Read the rows of keys.

        Args:
            wanted: packed keys.
            columns: names of the columns to read.
            store: function that stores rows of a shard under the positions of their keys in `wanted`. It can be called
                again for the same rows.
        """
        for _ in range(_MAX_TRIES):
            try:
                for names, shard_keys in self._read_keys() if len(wanted) else ():
                    self._scan_shards(names, shard_keys, wanted, columns, store)
            except FileNotFoundError:
                continue  # another process has merged the shard into a new shard
            return
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

    def _scan_shards(
        self,
        names: list[str],
        shard_keys: "list[pa.ChunkedArray]",
        wanted: pa.Array,
        columns: Sequence[str],
        store: Callable[[pa.Table, Rows], None],
    ) -> None:
        """Read the rows of the requested keys from a group of shards."""
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
                for table, part in self._read_rows(name, sources[first:last] - start, columns):
                    store(table, targets[first:last][part])

    def _read_rows(self, name: str, rows: Rows, columns: Sequence[str]) -> Iterator[tuple[pa.Table, slice]]:
        """Yield sorted rows of a shard, one row group at a time, and the part of `rows` that they belong to."""
        groups = rows // ROW_GROUP
        for group in np.unique(groups):
            first, last = np.searchsorted(groups, [group, group + 1])
            table = self.shards.read(name, columns, [int(group)])
            if table is None:
                return
            yield table.take(rows[first:last] - group * ROW_GROUP), slice(first, last)
