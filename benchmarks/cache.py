"""Measure the time per image of a run in which every embedding is already cached.

The benchmark fills a cache with random vectors and calls `embed_images` for all images, once before and once after the
shards are compacted. The encoder raises an error if the cache lacks an image. The result contains the time and memory
of both calls.

    python benchmarks/cache.py --n 1000000 --dim 512      # one to three minutes, 3.4 GB of memory
"""

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from image_tables import make_image_table
from PIL import Image

from kadr.embed import EmbeddingCache, embed_images
from kadr.embed.compaction import compact
from kadr.encoders.base import Identity, ImageEncoder, Pixels
from kadr.io.embeddings import Vectors

CHUNK_SIZE = 16_384


class FailingEncoder(ImageEncoder):
    """An encoder that raises an error for every image."""

    def __init__(self, dim: int) -> None:
        self.identity, self.dim = Identity("made", "made", "made", "made", "fp32"), dim

    def preprocess(self, image: Image.Image) -> Pixels:
        """Raise NotImplementedError."""
        raise NotImplementedError

    def encode(self, images: Sequence[Pixels]) -> Vectors:
        """Raise NotImplementedError."""
        raise NotImplementedError


def fill_cache(cache: EmbeddingCache, keys: list[str], dim: int) -> None:
    """Add a random unit vector to the cache for each key."""
    rng = np.random.default_rng(0)
    for start in range(0, len(keys), CHUNK_SIZE):
        chunk = keys[start : start + CHUNK_SIZE]
        vectors = rng.normal(size=(len(chunk), dim)).astype(np.float32)
        cache.append(chunk, vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def peak_memory_gb() -> float:
    """Return the peak memory of this process in gigabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def main() -> None:
    """Run the benchmark before and after compaction, and print the results as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=1_000_000, help="number of images")
    parser.add_argument("--dim", type=int, default=512, help="dimension of the vectors")
    parser.add_argument(
        "--dtype", choices=["float32", "float16"], default="float32", help="data type of the cached vectors"
    )
    args = parser.parse_args()
    encoder = FailingEncoder(args.dim)
    keys = [f"{number:064x}" for number in np.random.default_rng(2).permutation(args.n)]
    images = make_image_table(keys, keys, keys, "train").take(np.random.default_rng(1).permutation(args.n))
    with tempfile.TemporaryDirectory() as folder:
        cache = EmbeddingCache(folder, encoder.identity, args.dim, args.dtype)
        fill_cache(cache, keys, args.dim)
        results: dict[str, object] = {"n": args.n, "dim": args.dim, "dtype": args.dtype}
        for state in ("fresh", "compacted"):
            memory, start, cpu_start = peak_memory_gb(), time.perf_counter(), time.process_time()
            embeddings = embed_images(encoder, images, cache, 16).load()
            seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
            results[state] = {
                "shards": len(cache.shards.sizes()),
                "us_per_photo": round(seconds / args.n * 1e6, 2),
                "cpu_us_per_photo": round(cpu_seconds / args.n * 1e6, 2),
                "peak_gb": round(peak_memory_gb(), 2),
                "peak_gb_before": round(memory, 2),
                "result_gb": round(embeddings.vectors.nbytes / 1e9, 2),
            }
            del embeddings
            compact(cache.shards)
        results["mb_on_disk"] = round(sum(path.stat().st_size for path in Path(folder).rglob("*")) / 1e6)
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
