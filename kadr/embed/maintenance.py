"""The embed part's upkeep: what the caches of a root hold, whether it is whole, and what of it is garbage."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc
from pyarrow import fs

from kadr.embed.cache import IDENTITY, VECTORS
from kadr.embed.shards import DAMAGED, DTYPES, OK, Format, Shards
from kadr.errors import CacheError
from kadr.io.storage import Folder, Location

PARTIAL = ".partial"
_PARTIAL_DAYS = 1  # a partial file is that old before nobody can be writing it any more
_NORM_ERROR = 2e-3  # of a vector kept as float16


@dataclass(frozen=True)
class Cached:
    """The cache of one encoder.

    Attributes:
        name: of its folder: the encoder's key, and the type of its numbers where that is not float32.
        about: what identity.json says.
        shards: its shards.
        used: seconds since 1970 when a run last opened it.
    """

    name: str
    about: dict[str, object]
    shards: Shards
    used: float


def caches(root: Location) -> list[Cached]:
    """The caches under `root`, by name. Raises CacheError where one cannot be read."""
    return list(_caches(Folder(root) / VECTORS))


def _caches(folder: Folder) -> Iterator[Cached]:
    for entry in folder.entries():
        inside = folder / entry.base_name
        if entry.type != fs.FileType.Directory or not inside.has(IDENTITY):
            continue
        try:
            about = json.loads(inside.read(IDENTITY))
            rows = Format(int(about["dim"]), str(about["dtype"]))
            used = next(file.mtime_ns or 0 for file in inside.entries() if file.base_name == IDENTITY) / 1e9
        except (ValueError, LookupError, TypeError, OSError) as error:
            raise CacheError(f"{inside}/{IDENTITY} is not readable ({error}); delete the folder") from error
        if rows.dtype not in DTYPES:
            raise CacheError(f"{inside}/{IDENTITY}: dtype is {rows.dtype}, wanted {' or '.join(DTYPES)}")
        yield Cached(entry.base_name, about, Shards(inside, rows), used)


def count(cached: Cached) -> dict[str, int]:
    """Rows by their status: {ok: n, unreadable: n, ...}; a key in two shards counts twice."""
    counts: dict[str, int] = {OK: 0}
    for name, _ in cached.shards.sizes():
        table = cached.shards.read(name, ["status"])
        for each in () if table is None else table.column("status").value_counts().to_pylist():
            counts[each["values"]] = counts.get(each["values"], 0) + each["counts"]
    return counts


def verify(cached: Cached) -> tuple[int, int]:
    """Read every shard whole, with its checksums; set aside what is damaged or has a vector that is not of unit norm.

    Returns:
        Shards that are whole, and shards that were set aside.
    """
    sizes = cached.shards.sizes()
    whole = 0
    for name, _ in sizes:
        table = cached.shards.read(name, cached.shards.format.schema.names)
        if table is None:
            continue
        good = pc.equal(table.column("status"), OK).to_numpy(zero_copy_only=False)
        norms = np.linalg.norm(cached.shards.format.vectors(table).astype(np.float32), axis=1)
        if np.abs(norms - good).max(initial=0) <= _NORM_ERROR:
            whole += 1
        else:
            cached.shards.set_aside(name, "a vector is not of unit norm")
    return whole, len(sizes) - whole


def garbage(root: Location, unused_days: float | None) -> list[str]:
    """Files and folders, relative to the caches' folder, that no run needs.

    Args:
        root: of the caches.
        unused_days: encoders that no run has opened for so many days are garbage; None keeps them all.

    Returns:
        Damaged shards, partial files of killed processes, folders of unused encoders (they end with `/`).
    """
    found = []
    now = time.time()
    for cached in caches(root):
        if unused_days is not None and cached.used < now - unused_days * 86_400:
            found.append(f"{cached.name}/")
            continue
        for entry in cached.shards.folder.entries():
            age_days = (now - (entry.mtime_ns or 0) / 1e9) / 86_400
            if entry.base_name.endswith(DAMAGED) or (entry.base_name.endswith(PARTIAL) and age_days > _PARTIAL_DAYS):
                found.append(f"{cached.name}/{entry.base_name}")
    return found


def sweep(root: Location, names: list[str]) -> None:
    """Delete what `garbage` has found."""
    folder = Folder(root) / VECTORS
    for name in names:
        if name.endswith("/"):
            (folder / name.rstrip("/")).delete_all()
        else:
            folder.delete(name)


def forget_bad(cached: Cached) -> int:
    """Take the photos that did not decode out of a cache, so that they are tried again; how many there were."""
    n = 0
    for name, _ in cached.shards.sizes():
        table = cached.shards.read(name, cached.shards.format.schema.names)
        if table is None or pc.all(good := pc.equal(table.column("status"), OK)).as_py():
            continue
        kept = table.filter(good)
        n += len(table) - len(kept)
        if len(kept):
            cached.shards.write(kept)
        cached.shards.delete(name)
    return n
