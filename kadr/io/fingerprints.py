"""Cache the SHA-256 of files, so that unchanged files are not read again.

A file counts as unchanged if its size, its modification time in nanoseconds and its inode are the same. The hash of a
file that was modified less than 2 seconds ago is not saved, because another change within one tick of the file system's
clock would not change the modification time.
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
_SETTLED_NS = 2_000_000_000  # resolution of modification times on FAT, the lowest of the common file systems

Stat = tuple[int, int, int]


class Fingerprints:
    """A cache of the SHA-256 of files, stored in a Parquet file.

    Args:
        path: Parquet file of the cache. If the file is missing or damaged, the cache starts empty.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, tuple[Stat, str]] = {}
        try:
            columns = pq.read_table(path, schema=FINGERPRINTS).to_pydict()
        except (OSError, pa.ArrowException):
            return
        stats = zip(columns["size"], columns["mtime_ns"], columns["inode"], strict=True)
        self._known = dict(zip(columns["path"], zip(stats, columns["sha256"], strict=True), strict=True))

    def sha256(self, paths: Sequence[str]) -> list[str | None]:
        """Return the SHA-256 of each file, or None if the file cannot be read. Only new and changed files are read.

        New hashes are saved. If two processes save at the same time, only the hashes of the last process are kept.
        """
        stats = [_stat(path) for path in paths]
        changed = [row for row, path in enumerate(paths) if not self._is_unchanged(path, stats[row])]
        now = time.time_ns()
        with progress("hash files", len(changed)) as advance, ThreadPoolExecutor(_THREADS) as pool:
            for row, digest in zip(changed, pool.map(lambda row: _sha256(paths[row]), changed), strict=True):
                advance(1)
                self._known.pop(paths[row], None)
                if digest is not None and (stat := stats[row]) is not None:
                    self._known[paths[row]] = (stat, digest)
        digests = [self._known[path][1] if path in self._known else None for path in paths]
        if changed:
            self._save(now)
        return digests

    def _is_unchanged(self, path: str, stat: Stat | None) -> bool:
        return stat is not None and path in self._known and self._known[path][0] == stat

    def _save(self, now: int) -> None:
        settled = [(path, *stat, digest) for path, (stat, digest) in self._known.items() if now - stat[1] > _SETTLED_NS]
        columns = zip(*sorted(settled), strict=True) if settled else ([] for _ in FINGERPRINTS)
        arrays = [pa.array(column, field.type) for column, field in zip(columns, FINGERPRINTS, strict=True)]
        write_table(pa.Table.from_arrays(arrays, schema=FINGERPRINTS), self._path, FINGERPRINTS)


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
