"""The cost of a fully cached run, per photo: made vectors in a cache, then `embed_images` over all of them.

`python benchmarks/cache.py --n 1000000 --dim 512` prints one JSON object. Nothing is embedded: a forward pass is an
error.
"""

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image

from kadr.embed import EmbeddingCache, embed_images
from kadr.embed.compaction import compact
from kadr.encoders.base import Identity, ImageEncoder, Pixels
from kadr.io.embeddings import Vectors
from kadr.io.schemas import IMAGES

AT_ONCE = 16_384


class NoEncoder(ImageEncoder):
    """An encoder that must not be needed."""

    def __init__(self, dim: int) -> None:
        self.identity, self.dim = Identity("made", "made", "made", "made", "fp32"), dim

    def prepare(self, image: Image.Image) -> Pixels:
        """Never called."""
        raise NotImplementedError

    def encode(self, photos: Sequence[Pixels]) -> Vectors:
        """Never called."""
        raise NotImplementedError


def fill(cache: EmbeddingCache, keys: list[str], dim: int) -> None:
    """Random unit vectors under `keys`."""
    rng = np.random.default_rng(0)
    for start in range(0, len(keys), AT_ONCE):
        some = keys[start : start + AT_ONCE]
        vectors = rng.normal(size=(len(some), dim)).astype(np.float32)
        cache.append(some, vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def table(keys: list[str]) -> pa.Table:
    """An IMAGES table of photos with these sha256, in no order."""
    n = len(keys)
    columns = {"image_id": keys, "path": keys, "sha256": keys, "split": ["train"] * n, "status": ["ok"] * n}
    arrays = [
        pa.array(columns[field.name], field.type) if field.name in columns else pa.nulls(n, field.type)
        for field in IMAGES
    ]
    return pa.Table.from_arrays(arrays, schema=IMAGES).take(np.random.default_rng(1).permutation(n))


def peak_gb() -> float:
    """The most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--dtype", choices=["float32", "float16"], default="float32")
    asked = parser.parse_args()
    encoder = NoEncoder(asked.dim)
    keys = [f"{number:064x}" for number in np.random.default_rng(2).permutation(asked.n)]
    images = table(keys)
    with tempfile.TemporaryDirectory() as folder:
        cache = EmbeddingCache(folder, encoder.identity, asked.dim, asked.dtype)
        fill(cache, keys, asked.dim)
        figures: dict[str, object] = {"n": asked.n, "dim": asked.dim, "dtype": asked.dtype}
        for state in ("fresh", "compacted"):
            before, start, cpu = peak_gb(), time.perf_counter(), time.process_time()
            embeddings = embed_images(encoder, images, cache, 16)
            seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
            figures[state] = {
                "shards": len(cache.shards.sizes()),
                "us_per_photo": round(seconds / asked.n * 1e6, 2),
                "cpu_us_per_photo": round(cpu / asked.n * 1e6, 2),
                "peak_gb": round(peak_gb(), 2),
                "peak_gb_before": round(before, 2),
                "result_gb": round(embeddings.vectors.nbytes / 1e9, 2),
            }
            del embeddings
            compact(cache.shards)
        figures["mb_on_disk"] = round(sum(path.stat().st_size for path in Path(folder).rglob("*")) / 1e6)
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
