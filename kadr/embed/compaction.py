"""The embed part's compaction: shards that are not full become full ones, while others read and write."""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from kadr.embed.shards import Shards

FULL = 65_536
"""Rows of a full shard; a compaction holds twice as many in memory."""


def n_small(shards: Shards) -> int:
    """How many shards are at most half full."""
    return len(_small(shards))


def compact(shards: Shards) -> tuple[int, int]:
    """Write shards that are at most half full together, then delete them; a key that stands twice is kept once.

    A process killed in between leaves rows that stand twice, which changes nothing.

    Returns:
        Shards that were replaced, and shards that replaced them.
    """
    before = after = 0
    for names in _together(_small(shards), FULL * shards.format.row_bytes):
        tables = [table for name in names if (table := _read(shards, name)) is not None]
        if len(tables) < 2:
            continue
        written = shards.write(_distinct(pa.concat_tables(tables)))
        for name in names:
            if name != written:
                shards.delete(name)
        before, after = before + len(names), after + 1
    return before, after


def _small(shards: Shards) -> list[tuple[str, int]]:
    """Names and bytes of the shards that are at most half full, the oldest first."""
    return [(name, size) for name, size in shards.sizes() if size <= FULL // 2 * shards.format.row_bytes]


def _together(small: Sequence[tuple[str, int]], enough: int) -> Iterator[list[str]]:
    """Names in runs of `enough` bytes."""
    names: list[str] = []
    total = 0
    for name, size in small:
        names.append(name)
        total += size
        if total >= enough:
            yield names
            names, total = [], 0
    yield names


def _read(shards: Shards, name: str) -> pa.Table | None:
    try:
        return shards.read(name, shards.format.schema.names)
    except FileNotFoundError:  # another process has compacted it
        return None


def _distinct(table: pa.Table) -> pa.Table:
    """The first row of every key."""
    numbered = pa.table({"key": table.column("key"), "row": np.arange(len(table))})
    first = numbered.group_by("key", use_threads=False).aggregate([("row", "min")]).column("row_min")
    return table if len(first) == len(table) else table.take(first)
