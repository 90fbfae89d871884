"""Merge small shards into larger shards. Other processes may use the cache at the same time."""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from kadr.embed.shards import Shards

FULL_SHARD_ROWS = 65_536
"""Number of rows in a full shard. Compaction holds up to two full shards in memory."""


def count_small(shards: Shards) -> int:
    """Return the number of shards that are at most half full."""
    return len(_list_small(shards))


def compact(shards: Shards) -> tuple[int, int]:
    """Merge shards that are at most half full, and drop duplicate keys.

    If the process is killed, two shards may contain the same rows, but lookups still return correct results.

    Returns:
        Number of shards that were merged, and number of new shards.
    """
    n_replaced = n_written = 0
    for names in _group_by_bytes(_list_small(shards), FULL_SHARD_ROWS * shards.format.row_bytes):
        tables = [table for name in names if (table := _read(shards, name)) is not None]
        if len(tables) < 2:
            continue
        merged = shards.write(_drop_duplicates(pa.concat_tables(tables)))
        for name in names:
            if name != merged:
                shards.delete(name)
        n_replaced, n_written = n_replaced + len(names), n_written + 1
    return n_replaced, n_written


def _list_small(shards: Shards) -> list[tuple[str, int]]:
    """Return the names and sizes of the shards that are at most half full, oldest first."""
    max_bytes = FULL_SHARD_ROWS // 2 * shards.format.row_bytes
    return [(name, size) for name, size in shards.sizes() if size <= max_bytes]


def _group_by_bytes(shards: Sequence[tuple[str, int]], min_bytes: int) -> Iterator[list[str]]:
    """Yield shard names in groups with a total size of at least `min_bytes`. The last group may be smaller."""
    names: list[str] = []
    total = 0
    for name, size in shards:
        names.append(name)
        total += size
        if total >= min_bytes:
            yield names
            names, total = [], 0
    yield names


def _read(shards: Shards, name: str) -> pa.Table | None:
    try:
        return shards.read(name, shards.format.schema.names)
    except FileNotFoundError:  # another process has merged the shard into a new shard
        return None


def _drop_duplicates(table: pa.Table) -> pa.Table:
    """Return a table with only the first row of each key."""
    numbered = pa.table({"key": table.column("key"), "row": np.arange(len(table))})
    first = numbered.group_by("key", use_threads=False).aggregate([("row", "min")]).column("row_min")
    return table if len(first) == len(table) else table.take(first)
