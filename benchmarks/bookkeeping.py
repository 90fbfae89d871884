"""The bookkeeping of a very large collection, without photos: its cost per photo as the collection grows.

`python benchmarks/bookkeeping.py --part 200000 --parts 1 2 4 8` makes manifests (tables IMAGES) and caches in parts,
as docs/scale.md lays them out, half of each part embedded before. It prints microseconds per photo for writing and
reading manifests, listing shards and finding what is missing (the anti-join). Vectors are short: only keys matter here.
"""

import argparse
import hashlib
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa

from kadr.embed import EmbeddingCache
from kadr.encoders.base import Identity
from kadr.io.schemas import IMAGES, read_table, write_table

DIM = 8
IDENTITY = Identity("made", "made", "made", "made", "fp32")
SHARD = 32_768


def manifest(part: int, n: int) -> pa.Table:
    """A table IMAGES of n photos in object storage."""
    keys = [hashlib.sha256(f"{part} {number}".encode()).hexdigest() for number in range(n)]
    columns = {
        "image_id": [f"{part:04d}/{key[:24]}" for key in keys],
        "path": [f"s3://photos/{part:04d}/{key[:24]}.jpg" for key in keys],
        "split": ["corpus"] * n,
        "sha256": keys,
        "status": ["ok"] * n,
    }
    arrays = [
        pa.array(columns[field.name], field.type) if field.name in columns else pa.nulls(n, field.type)
        for field in IMAGES
    ]
    return pa.Table.from_arrays(arrays, schema=IMAGES)


@contextmanager
def timed(into: dict[str, float], what: str) -> Iterator[None]:
    """Add the processor time of the block to `into[what]`."""
    start = time.process_time()
    yield
    into[what] += time.process_time() - start


def run(folder: Path, parts: int, n: int) -> dict[str, float]:
    """Microseconds of processor time per photo of a collection of `parts` x n photos."""
    spent: dict[str, float] = defaultdict(float)
    vectors = np.full((SHARD, DIM), DIM**-0.5, dtype=np.float32)
    for part in range(parts):
        table, path = manifest(part, n), folder / f"{part:04d}.parquet"
        with timed(spent, "write_manifest"):
            write_table(table, path, IMAGES)
        cache = EmbeddingCache(folder / f"{part:04d}", IDENTITY, DIM)
        done = table.column("sha256").slice(0, n // 2).to_pylist()
        for start in range(0, len(done), SHARD):
            keys = done[start : start + SHARD]
            cache.append(keys, vectors[: len(keys)])
        del table, done
        with timed(spent, "read_manifest"):
            wanted = read_table(path, IMAGES).column("sha256").to_pylist()
        with timed(spent, "list_shards"):
            cache.shards.sizes()
        with timed(spent, "find_missing"):
            missing = cache.lookup(wanted).missing
        if len(missing) != n - n // 2:
            raise AssertionError(f"part {part}: {len(missing)} photos are missing, wanted {n - n // 2}")
    return {what: round(seconds / (parts * n) * 1e6, 3) for what, seconds in spent.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", type=int, default=200_000, help="photos of a part")
    parser.add_argument("--parts", type=int, nargs="+", default=[1, 2, 4, 8])
    asked = parser.parse_args()
    figures = {}
    for parts in asked.parts:
        with tempfile.TemporaryDirectory() as folder:
            each = run(Path(folder), parts, asked.part)
        figures[parts * asked.part] = each | {"all": round(sum(each.values()), 3)}
    print(json.dumps({"cpu_us_per_photo_by_collection": figures}, indent=2))


if __name__ == "__main__":
    main()
