"""The library room's memory of files: the sha256 of one that has not changed is known without reading it.

A file is taken for unchanged while its size, its time of modification (ns) and its inode are. What was changed so
recently that one more change might not show is hashed again the next time.
"""

import hashlib
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from kadr.io.schemas import write_table
from kadr.progress import progress

FINGERPRINTS = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("size", pa.int64(), nullable=False),
        pa.field("mtime_ns", pa.int64(), nullable=False),
        pa.field("inode", pa.uint64(), nullable=False),
        pa.field("sha256", pa.string(), nullable=False),
    ]
)
_THREADS = 4
_SETTLED_NS = 2_000_000_000  # the coarsest clock of a file system in use (FAT) ticks every 2 s

Stat = tuple[int, int, int]


class Fingerprints:
    """What is known of files, kept in the Parquet file `memory`; one that cannot be read counts as empty."""

    def __init__(self, memory: Path) -> None:
        self._memory = memory
        self._known: dict[str, tuple[Stat, str]] = {}
        try:
            columns = pq.read_table(memory, schema=FINGERPRINTS).to_pydict()
        except (OSError, pa.ArrowException):
            return  # all is hashed anew
        stats = zip(columns["size"], columns["mtime_ns"], columns["inode"], strict=True)
        self._known = dict(zip(columns["path"], zip(stats, columns["sha256"], strict=True), strict=True))

    def sha256(self, paths: Sequence[str]) -> list[str | None]:
        """The sha256 of each file, None where it cannot be read; only new and changed files are read.

        What was learned is kept, unless another process keeps its own at the same time: then one of them reads again.
        """
        stats = [_stat(path) for path in paths]
        stale = [row for row, (path, stat) in enumerate(zip(paths, stats, strict=True)) if not self._knows(path, stat)]
        now = time.time_ns()
        with progress("hash files", len(stale)) as advance, ThreadPoolExecutor(_THREADS) as pool:
            for row, digest in zip(stale, pool.map(lambda row: _sha256(paths[row]), stale), strict=True):
                advance(1)
                self._known.pop(paths[row], None)
                if digest is not None and (stat := stats[row]) is not None:
                    self._known[paths[row]] = (stat, digest)
        digests = [self._known[path][1] if path in self._known else None for path in paths]
        if stale:
            self._keep(now)
        return digests

    def _knows(self, path: str, stat: Stat | None) -> bool:
        return stat is not None and path in self._known and self._known[path][0] == stat

    def _keep(self, now: int) -> None:
        settled = [(path, *stat, digest) for path, (stat, digest) in self._known.items() if now - stat[1] > _SETTLED_NS]
        columns = zip(*sorted(settled), strict=True) if settled else ([] for _ in FINGERPRINTS)
        arrays = [pa.array(column, field.type) for column, field in zip(columns, FINGERPRINTS, strict=True)]
        write_table(pa.Table.from_arrays(arrays, schema=FINGERPRINTS), self._memory, FINGERPRINTS)


def _stat(path: str) -> Stat | None:
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return stat.st_size, stat.st_mtime_ns, stat.st_ino


def _sha256(path: str) -> str | None:
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
