"""Measure how the processor time per image for manifests and caches changes as a collection grows.

No image files are needed.

The benchmark writes manifests (schema IMAGES) and embedding caches in parts, as described in docs/scale.md. Half of the
images in each part are already cached. The result is the processor time per image, in microseconds, for writing and
reading the manifests, listing the shards of the cache, and finding the missing images. The vectors are short because
only the keys affect the result. The time per image must not grow with the number of parts.

    python benchmarks/bookkeeping.py --part 200000 --parts 1 2 4 8      # about half a minute on two cores
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
from image_tables import make_image_table

from kadr.embed import EmbeddingCache
from kadr.encoders.base import Identity
from kadr.io.schemas import IMAGES, read_table, write_table

DIM = 8
IDENTITY = Identity("made", "made", "made", "made", "fp32")
SHARD_SIZE = 32_768


def make_manifest(part: int, n_images: int) -> pa.Table:
    """Return the manifest of one part. The image paths are object storage URIs."""
    keys = [hashlib.sha256(f"{part} {number}".encode()).hexdigest() for number in range(n_images)]
    ids = [f"{part:04d}/{key[:24]}" for key in keys]
    return make_image_table(ids, [f"s3://photos/{image_id}.jpg" for image_id in ids], keys, "corpus")


@contextmanager
def add_time(seconds: dict[str, float], step: str) -> Iterator[None]:
    """Add the processor time of the `with` block to `seconds[step]`."""
    start = time.process_time()
    yield
    seconds[step] += time.process_time() - start


def measure(folder: Path, n_parts: int, n_images: int) -> dict[str, float]:
    """Return the microseconds of processor time per image for `n_parts` parts with `n_images` images each."""
    seconds: dict[str, float] = defaultdict(float)
    vectors = np.full((SHARD_SIZE, DIM), DIM**-0.5, dtype=np.float32)
    for part in range(n_parts):
        manifest, path = make_manifest(part, n_images), folder / f"{part:04d}.parquet"
        with add_time(seconds, "write_manifest"):
            write_table(manifest, path, IMAGES)
        cache = EmbeddingCache(folder / f"{part:04d}", IDENTITY, DIM)
        cached = manifest.column("sha256").slice(0, n_images // 2).to_pylist()
        for start in range(0, len(cached), SHARD_SIZE):
            keys = cached[start : start + SHARD_SIZE]
            cache.append(keys, vectors[: len(keys)])
        del manifest, cached
        with add_time(seconds, "read_manifest"):
            keys = read_table(path, IMAGES).column("sha256").to_pylist()
        with add_time(seconds, "list_shards"):
            cache.shards.sizes()
        with add_time(seconds, "find_missing"):
            missing = cache.lookup(keys).missing
        if len(missing) != n_images - n_images // 2:
            n_expected = n_images - n_images // 2
            raise AssertionError(
                f"part {part}: {len(missing)} images are missing from the cache, expected {n_expected}"
            )
    return {step: round(spent / (n_parts * n_images) * 1e6, 3) for step, spent in seconds.items()}


def main() -> None:
    """Run the benchmark for each number of parts and print the results as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", type=int, default=200_000, help="number of images per part")
    parser.add_argument("--parts", type=int, nargs="+", default=[1, 2, 4, 8], help="numbers of parts to measure")
    args = parser.parse_args()
    results = {}
    for n_parts in args.parts:
        with tempfile.TemporaryDirectory() as folder:
            costs = measure(Path(folder), n_parts, args.part)
        results[n_parts * args.part] = costs | {"all": round(sum(costs.values()), 3)}
    print(json.dumps({"cpu_us_per_photo_by_collection": results}, indent=2))


if __name__ == "__main__":
    main()
