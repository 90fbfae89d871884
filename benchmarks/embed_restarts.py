"""What benchmarks/embed.py measures of runs that are not the first: killed and resumed, ten new photos, all cached."""

import hashlib
import multiprocessing
import tempfile
import time
from pathlib import Path

import pyarrow as pa

from kadr.embed import EmbeddingCache, embed_images
from kadr.embed.maintenance import caches, count
from kadr.encoders import ImageEncoder, load_image_encoder
from kadr.encoders.allocator import keep_freed_memory
from kadr.io.image_decoding import read_photo
from kadr.io.schemas import IMAGES
from kadr.params import ImageEncoderParams


def table(paths: list[Path]) -> pa.Table:
    """Photos as ingest lists them."""
    rows = [{"image_id": str(path), "path": str(path), "split": "train", "status": "ok"} for path in paths]
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    return pa.Table.from_pylist([{**row, "sha256": d} for row, d in zip(rows, digests, strict=True)], IMAGES)


def run(spec: ImageEncoderParams, paths: list[Path], root: str, batch: int) -> None:
    """A process's whole work: load the encoder, embed the photos."""
    keep_freed_memory()
    encoder = load_image_encoder(spec, "auto")
    embed_images(encoder, table(paths), EmbeddingCache(root, encoder.identity, encoder.dim), batch)


def restarts(
    spec: ImageEncoderParams, encoder: ImageEncoder, paths: list[Path], batch: int, n_new: int
) -> dict[str, object]:
    """Photos and seconds of a run killed (SIGKILL) half way and resumed, then with new photos, then all cached."""
    images = table(paths)
    old, new = images.slice(0, len(paths) - n_new), images.slice(len(paths) - n_new)
    figures: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as root:
        kept = _killed_half_way(spec, paths[: len(old)], root, batch)
        cache = EmbeddingCache(root, encoder.identity, encoder.dim)
        seconds = _seconds(encoder, old, cache, batch)
        twice = _n_cached(root) - len(old)
        figures["killed"] = {"cached_then": kept, "resumed_s": seconds, "computed": len(old) - kept, "twice": twice}
        figures[f"{n_new}_new_s"] = _seconds(encoder, images, cache, batch)
        figures["all_cached_s"] = _seconds(encoder, images, cache, batch)
    photos = [read_photo(row["path"], row["sha256"]) for row in new.to_pylist()]
    start = time.perf_counter()
    encoder.transform(photos)
    figures[f"{n_new}_new_forward_s"] = round(time.perf_counter() - start, 2)
    return figures


def _killed_half_way(spec: ImageEncoderParams, paths: list[Path], root: str, batch: int) -> int:
    """Kill a process once half of the photos are in the cache; how many of them then are."""
    process = multiprocessing.get_context("spawn").Process(target=run, args=(spec, paths, root, batch))
    process.start()
    while process.is_alive() and _n_cached(root) < len(paths) // 2:
        time.sleep(0.2)
    process.kill()
    process.join()
    return _n_cached(root)


def _n_cached(root: str) -> int:
    return sum(sum(count(cached).values()) for cached in caches(root))


def _seconds(encoder: ImageEncoder, images: pa.Table, cache: EmbeddingCache, batch: int) -> float:
    start = time.perf_counter()
    embed_images(encoder, images, cache, batch)
    return round(time.perf_counter() - start, 2)
