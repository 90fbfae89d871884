"""Cache the SHA-256 of files, so that unchanged files are not read again.

A file counts as unchanged if its size, its modification time, its status change time (ctime) and its inode are the
same. Programs can set the modification time of a file, but not its ctime. The hash of a file that was changed less than
2 seconds ago is not saved, because another change within one tick of the file system's clock would not change the
times.
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
        pa.field("ctime_ns", pa.int64(), nullable=False),
        pa.field("inode", pa.uint64(), nullable=False),
        pa.field("sha256", pa.string(), nullable=False),
    ]
)
_THREADS = 4
_SETTLED_NS = 2_000_000_000  # resolution of modification times on FAT, the lowest of the common file systems

Stat = tuple[int, int, int, int]
"""Size in bytes, modification time and ctime in nanoseconds, and inode of a file."""


class Fingerprints:
    """A cache of the SHA-256 of files, stored in a Parquet file.

    Args:
        path: Parquet file of the cache. If the file is missing, damaged or written by an older version, the cache
            starts empty.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, tuple[Stat, str]] = {}
        try:
            table = pq.read_table(path)
        except (OSError, pa.ArrowException):
            return
        if table.schema.remove_metadata() == FINGERPRINTS:
            paths, *stats, digests = (table.column(name).to_pylist() for name in FINGERPRINTS.names)
            self._known = dict(zip(paths, zip(zip(*stats, strict=True), digests, strict=True), strict=True))

    def sha256(self, paths: Sequence[str], *, reread: bool = False) -> list[str | None]:
        """Return the SHA-256 of each file, or None if the file cannot be read. Only new and changed files are read.

        New hashes are saved. If two processes save at the same time, only the hashes of the last process are kept.

        Args:
            paths: paths of the files.
            reread: whether to read all files again.
        """
        stats = [_stat(path) for path in paths]
        rows = range(len(paths))
        changed = [row for row in rows if reread or not self._is_unchanged(paths[row], stats[row])]
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

    def forget(self, paths: Sequence[str]) -> None:
        """Delete the hashes of files whose content does not match their hash, so that the files are read again."""
        forgotten = [path for path in paths if self._known.pop(path, None)]
        if forgotten:
            self._save(time.time_ns())

    def _is_unchanged(self, path: str, stat: Stat | None) -> bool:
        return stat is not None and path in self._known and self._known[path][0] == stat

    def _save(self, now: int) -> None:
        settled = [
            (path, *stat, digest)
            for path, (stat, digest) in self._known.items()
            if min(abs(now - stat[1]), abs(now - stat[2])) > _SETTLED_NS
        ]
        columns = zip(*sorted(settled), strict=True) if settled else ([] for _ in FINGERPRINTS)
        arrays = [pa.array(column, field.type) for column, field in zip(columns, FINGERPRINTS, strict=True)]
        write_table(pa.Table.from_arrays(arrays, schema=FINGERPRINTS), self._path, FINGERPRINTS)


def _stat(path: str) -> Stat | None:
    try:
        stat = os.stat(path)
    except OSError:
        return None
    mtime, ctime = (min(max(time, -(2**63)), 2**63 - 1) for time in (stat.st_mtime_ns, stat.st_ctime_ns))
    return stat.st_size, mtime, ctime, stat.st_ino


def _sha256(path: str) -> str | None:
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
