"""List, verify and clean up the embedding cache."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc
from pyarrow import fs

from kadr.embed.cache import IDENTITY, VECTORS
from kadr.embed.shards import DAMAGED, DTYPES, OK, ShardFormat, Shards
from kadr.errors import CacheError
from kadr.io.storage import Folder, Location

PARTIAL = ".partial"
_PARTIAL_DAYS = 1  # age in days after which no process can still be writing a partial file
_SECONDS_PER_DAY = 86_400
_MAX_NORM_ERROR = 2e-3  # maximum rounding error of the norm of a float16 vector


@dataclass(frozen=True)
class CachedEncoder:
    """The cache folder of one encoder.

    Attributes:
        name: name of the cache folder: the identity key, with the suffix `-float16` if the vectors are stored in
            float16.
        identity: content of `identity.json`.
        shards: shards of the encoder.
        last_used: time when a run last opened the cache, in seconds since the Unix epoch.
    """

    name: str
    identity: dict[str, object]
    shards: Shards
    last_used: float


def list_caches(root: Location) -> list[CachedEncoder]:
    """Return the cache of each encoder under `root`, sorted by name.

    Raises:
        CacheError: a cache cannot be read.
    """
    return list(_read_caches(Folder(root) / VECTORS))


def _read_caches(folder: Folder) -> Iterator[CachedEncoder]:
    for entry in folder.list_entries():
        subfolder = folder / entry.base_name
        if entry.type != fs.FileType.Directory or not subfolder.exists(IDENTITY):
            continue
        try:
            identity = json.loads(subfolder.read(IDENTITY))
            shard_format = ShardFormat(int(identity["dim"]), str(identity["dtype"]))
            modified = next(file.mtime_ns or 0 for file in subfolder.list_entries() if file.base_name == IDENTITY)
        except (ValueError, LookupError, TypeError, OSError) as error:
            raise CacheError(f"{subfolder}/{IDENTITY} cannot be read ({error}). Delete {subfolder}.") from error
        if shard_format.dtype not in DTYPES:
            expected = " or ".join(DTYPES)
            raise CacheError(
                f"{subfolder}/{IDENTITY}: dtype is {shard_format.dtype}, expected {expected}. Delete {subfolder}."
            )
        yield CachedEncoder(entry.base_name, identity, Shards(subfolder, shard_format), modified / 1e9)


def count_rows(cached: CachedEncoder) -> dict[str, int]:
    """Return the number of rows with each status. A key that occurs in two shards is counted twice."""
    counts: dict[str, int] = {OK: 0}
    for name, _ in cached.shards.sizes():
        table = cached.shards.read(name, ["status"])
        for row in () if table is None else table.column("status").value_counts().to_pylist():
            counts[row["values"]] = counts.get(row["values"], 0) + row["counts"]
    return counts


def verify_shards(cached: CachedEncoder) -> tuple[int, int]:
    """Check every shard, and rename damaged shards.

    A shard is damaged if it cannot be read, if a checksum is wrong, or if a vector does not have unit norm.

    Returns:
        Number of valid shards, and number of damaged shards.
    """
    sizes = cached.shards.sizes()
    n_valid = 0
    for name, _ in sizes:
        table = cached.shards.read(name, cached.shards.format.schema.names)
        if table is None:
            continue
        expected = pc.equal(table.column("status"), OK).to_numpy(zero_copy_only=False)
        norms = np.linalg.norm(cached.shards.format.to_vectors(table).astype(np.float32), axis=1)
        if np.abs(norms - expected).max(initial=0) <= _MAX_NORM_ERROR:
            n_valid += 1
        else:
            cached.shards.set_aside(name, "a vector does not have unit norm")
    return n_valid, len(sizes) - n_valid


def find_garbage(root: Location, unused_days: float | None) -> list[str]:
    """Find files and folders in the cache that can be deleted.

    Args:
        root: folder or URI of the cache.
        unused_days: also find the folders of encoders that have not been used for this number of days. None keeps all
            encoders.

    Returns:
        Paths relative to the `vectors` folder of the cache: damaged shards, incomplete files from killed processes, and
        folders of unused encoders. Paths of folders end with `/`.
    """
    paths = []
    now = time.time()
    for cached in list_caches(root):
        if unused_days is not None and cached.last_used < now - unused_days * _SECONDS_PER_DAY:
            paths.append(f"{cached.name}/")
            continue
        for entry in cached.shards.folder.list_entries():
            age_days = (now - (entry.mtime_ns or 0) / 1e9) / _SECONDS_PER_DAY
            if entry.base_name.endswith(DAMAGED) or (entry.base_name.endswith(PARTIAL) and age_days > _PARTIAL_DAYS):
                paths.append(f"{cached.name}/{entry.base_name}")
    return paths


def delete_garbage(root: Location, paths: list[str]) -> None:
    """Delete the files and folders that `find_garbage` returned."""
    folder = Folder(root) / VECTORS
    for path in paths:
        if path.endswith("/"):
            (folder / path.rstrip("/")).delete_all()
        else:
            folder.delete(path)


def forget_undecodable(cached: CachedEncoder) -> int:
    """Delete the entries of undecodable images, so that the next run tries to decode the images again.

    Returns:
        Number of deleted entries.
    """
    n_removed = 0
    for name, _ in cached.shards.sizes():
        table = cached.shards.read(name, cached.shards.format.schema.names)
        if table is None or pc.all(decoded := pc.equal(table.column("status"), OK)).as_py():
            continue
        kept = table.filter(decoded)
        n_removed += len(table) - len(kept)
        if len(kept):
            cached.shards.write(kept)
        cached.shards.delete(name)
    return n_removed
