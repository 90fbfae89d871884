"""Measure repeated runs for benchmarks/embed.py.

The runs are a run that resumes after SIGKILL, a run with new images, and a run in which all images are cached.
"""

import hashlib
import multiprocessing
import tempfile
import time
from pathlib import Path

import pyarrow as pa
from image_tables import make_image_table

from kadr.embed import EmbeddingCache, embed_images
from kadr.embed.maintenance import count_rows, list_caches
from kadr.encoders import ImageEncoder, load_image_encoder
from kadr.encoders.allocator import keep_freed_memory
from kadr.io.image_decoding import read_image
from kadr.params import EncoderParams

POLL_S = 0.2


def list_image_table(paths: list[Path]) -> pa.Table:
    """Return an IMAGES table of the given image files, with their hashes."""
    names = [str(path) for path in paths]
    hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    return make_image_table(names, names, hashes, "train")


def embed_in_process(params: EncoderParams, paths: list[Path], root: str, batch_size: int) -> None:
    """Load the encoder and embed the images. This function runs in a child process, which is killed."""
    keep_freed_memory()
    encoder = load_image_encoder(params, "auto")
    embed_images(encoder, list_image_table(paths), EmbeddingCache(root, encoder.identity, encoder.dim), batch_size)


def measure_restarts(
    params: EncoderParams, encoder: ImageEncoder, paths: list[Path], batch_size: int, n_new: int
) -> dict[str, object]:
    """Return the image counts and durations of a resumed run, a run with new images, and a fully cached run.

    Args:
        params: Settings of the encoder.
        encoder: Encoder that was loaded with these settings.
        paths: Paths of the images.
        batch_size: Number of images per batch.
        n_new: Number of images that are added after the resumed run.
    """
    images = list_image_table(paths)
    first, new = images.slice(0, len(paths) - n_new), images.slice(len(paths) - n_new)
    results: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as root:
        n_kept = _kill_halfway(params, paths[: len(first)], root, batch_size)
        cache = EmbeddingCache(root, encoder.identity, encoder.dim)
        seconds = _measure_run(encoder, first, cache, batch_size)
        n_repeated = _count_cached(root) - len(first)
        results["killed"] = {
            "cached_then": n_kept,
            "resumed_s": seconds,
            "computed": len(first) - n_kept,
            "twice": n_repeated,
        }
        results[f"{n_new}_new_s"] = _measure_run(encoder, images, cache, batch_size)
        results["all_cached_s"] = _measure_run(encoder, images, cache, batch_size)
    decoded = [read_image(row["path"], row["sha256"]) for row in new.to_pylist()]
    start = time.perf_counter()
    encoder.transform(decoded)
    results[f"{n_new}_new_forward_s"] = round(time.perf_counter() - start, 2)
    return results


def _kill_halfway(params: EncoderParams, paths: list[Path], root: str, batch_size: int) -> int:
    """Kill the embedding process when half of the images are cached. Return the number of cached images."""
    process = multiprocessing.get_context("spawn").Process(
        target=embed_in_process, args=(params, paths, root, batch_size)
    )
    process.start()
    while process.is_alive() and _count_cached(root) < len(paths) // 2:
        time.sleep(POLL_S)
    process.kill()
    process.join()
    return _count_cached(root)


def _count_cached(root: str) -> int:
    return sum(sum(count_rows(cached).values()) for cached in list_caches(root))


def _measure_run(encoder: ImageEncoder, images: pa.Table, cache: EmbeddingCache, batch_size: int) -> float:
    start = time.perf_counter()
    embed_images(encoder, images, cache, batch_size)
    return round(time.perf_counter() - start, 2)
