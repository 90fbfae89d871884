"""Measure the speed of image embedding, and compare kadr with bare forward passes and other libraries.

The benchmark reads the images in ../shared/flickr8k and prints a JSON object for each encoder:

- mobilenet: MobileNetV2 (timm) embeds 6,800 images. Three more runs are measured: a run that resumes after SIGKILL, a
  run with new images, and a run that computes nothing.
- vit: A ViT-B-32 (open_clip) with random weights embeds 768 images. Starting and ending a run takes about 0.1 s, so
  fewer images would lower the speed on a fast processor.

The results are images per second of elapsed time and of processor time. Processor time includes child processes and
depends less on other running programs than elapsed time. The images are divided into slices, and all loops embed one
slice after another.

    python benchmarks/embed.py                    # a quarter of an hour on two idle cores
    python benchmarks/embed.py --encoders vit --vit-images 64 --clip-retrieval DIR/bin/python

`--clip-retrieval PYTHON` adds clip-retrieval to the comparison. clip-retrieval requires a separate environment:
`uv venv DIR && uv pip install --python DIR/bin/python clip-retrieval 'setuptools<81'`.
"""

import argparse
import json
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from embed_peers import EmbeddingLoop, make_mobilenet, make_vit, measure_clip_retrieval
from embed_restarts import list_image_table, measure_restarts

from kadr.embed import EmbeddingCache, embed_images
from kadr.encoders import ImageEncoder
from kadr.encoders.allocator import keep_freed_memory

SHARED = Path("../shared")
N_SLICES = {"mobilenet": 4, "vit": 2}
N_NEW = 10


def make_kadr_loop(encoder: ImageEncoder, paths: list[Path], batch_size: int) -> EmbeddingLoop:
    """Return a function that embeds images with kadr, starting with an empty cache."""
    images = list_image_table(paths)
    rows = {path: row for row, path in enumerate(paths)}

    def embed(selected: list[Path]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            cache = EmbeddingCache(folder, encoder.identity, encoder.dim)
            embed_images(encoder, images.take([rows[path] for path in selected]), cache, batch_size)

    return embed


@contextmanager
def add_times(seconds: dict[str, float]) -> Iterator[None]:
    """Add the elapsed time and the processor time of the `with` block to `seconds`, including child processes."""
    start, cpu_start = time.perf_counter(), cpu_seconds()
    yield
    seconds["wall"] += time.perf_counter() - start
    seconds["cpu"] += cpu_seconds() - cpu_start


def cpu_seconds() -> float:
    """Return the processor time of this process and its ended child processes, in seconds."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def compare(loops: dict[str, EmbeddingLoop], paths: list[Path], n_slices: int, batch_size: int) -> dict[str, object]:
    """Return the images per second of each loop, and the speed of kadr ("ours") relative to every other loop."""
    seconds: dict[str, dict[str, float]] = {name: defaultdict(float) for name in loops}
    for embed in loops.values():
        embed(paths[: 2 * batch_size])
    for number in range(n_slices):
        for name in sorted(loops, reverse=number % 2 == 1):
            with add_times(seconds[name]):
                loops[name](paths[number::n_slices])
    return {
        "photos": len(paths),
        "photos_per_s": {
            name: {clock: round(len(paths) / spent, 1) for clock, spent in times.items()}
            for name, times in seconds.items()
        },
        "ratios": {
            f"ours / {name}": {clock: round(times[clock] / seconds["ours"][clock], 3) for clock in times}
            for name, times in seconds.items()
            if name != "ours"
        },
    }


def measure_encoder(name: str, paths: list[Path], batch_size: int, clip_retrieval: str | None) -> dict[str, object]:
    """Run the benchmark with one encoder and return the results.

    Args:
        name: Name of the encoder, `mobilenet` or `vit`.
        paths: Paths of the images.
        batch_size: Number of images per batch.
        clip_retrieval: Path of a Python interpreter with clip-retrieval, or None to skip clip-retrieval.
    """
    make_encoder = make_mobilenet if name == "mobilenet" else make_vit
    with tempfile.TemporaryDirectory() as folder:
        params, encoder, peers = make_encoder(SHARED, Path(folder), batch_size)
        loops = {"ours": make_kadr_loop(encoder, paths, batch_size), **peers}
        results = compare(loops, paths, N_SLICES[name], batch_size)
        if name == "vit" and clip_retrieval:
            results["clip_retrieval"] = measure_clip_retrieval(clip_retrieval, Path(folder), paths, batch_size)
        if name == "mobilenet":
            results |= measure_restarts(params, encoder, paths, batch_size, n_new=N_NEW)
    return {"encoder": name, "precision": encoder.identity.precision, **results}


def main() -> None:
    """Run the benchmark with each encoder and print its results as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--encoders", nargs="+", choices=list(N_SLICES), default=list(N_SLICES), help="encoders to measure"
    )
    parser.add_argument("--images", type=int, default=6800, help="number of images for mobilenet")
    parser.add_argument("--vit-images", type=int, default=768, help="number of images for vit")
    parser.add_argument("--batch", type=int, default=16, help="number of images per batch")
    parser.add_argument("--clip-retrieval", metavar="PYTHON", help="path of a Python interpreter with clip-retrieval")
    args = parser.parse_args()
    keep_freed_memory()
    folders = (SHARED / "flickr8k" / "corpus_images", SHARED / "flickr8k" / "train_images")
    all_paths = [path.resolve() for folder in folders for path in sorted(folder.iterdir())]
    for name in args.encoders:
        n_images = min(args.images if name == "mobilenet" else args.vit_images, len(all_paths))
        paths = [all_paths[row] for row in np.linspace(0, len(all_paths) - 1, n_images).astype(int)]
        print(json.dumps(measure_encoder(name, paths, args.batch, args.clip_retrieval), indent=2), flush=True)


if __name__ == "__main__":
    main()
