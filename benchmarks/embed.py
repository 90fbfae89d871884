"""Measure the speed of image embedding, compared with bare forward passes and with the loops of other libraries.

The benchmark reads the images of ../shared/flickr8k and prints a JSON object for each encoder:

- mobilenet: 6,800 images with MobileNetV2 (timm), then a killed and resumed run, new images, and a fully cached run.
- vit: 192 images with a ViT-B-32 (open_clip) with random weights. Two cores without bf16 embed 8 images a second.

Images per second refer to elapsed time and to processor time. Processor time includes child processes and is less
affected by other programs. All loops take turns on slices of the images.

    python benchmarks/embed.py                    # ten minutes on two idle cores
    python benchmarks/embed.py --encoders vit --vit-images 64 --clip-retrieval DIR/bin/python

`--clip-retrieval PYTHON` adds clip-retrieval, which needs its own environment:
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
    """Return a loop that embeds images with kadr and an empty cache."""
    images = list_image_table(paths)
    rows = {path: row for row, path in enumerate(paths)}

    def embed(selected: list[Path]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            cache = EmbeddingCache(folder, encoder.identity, encoder.dim)
            embed_images(encoder, images.take([rows[path] for path in selected]), cache, batch_size)

    return embed


@contextmanager
def add_times(seconds: dict[str, float]) -> Iterator[None]:
    """Add the elapsed time and the processor time of the block, including child processes."""
    start, cpu_start = time.perf_counter(), cpu_seconds()
    yield
    seconds["wall"] += time.perf_counter() - start
    seconds["cpu"] += cpu_seconds() - cpu_start


def cpu_seconds() -> float:
    """Return the processor time of this process and its ended child processes, in seconds."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def compare(loops: dict[str, EmbeddingLoop], paths: list[Path], n_slices: int, batch_size: int) -> dict[str, object]:
    """Return the images per second of each loop, and the ratios of kadr ("ours") to the other loops."""
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
    """Measure one encoder.

    Args:
        name: `mobilenet` or `vit`.
        paths: Images.
        batch_size: Number of images in a batch.
        clip_retrieval: Python interpreter with clip-retrieval, or None.
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
    """Measure the encoders and print a JSON object for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoders", nargs="+", choices=list(N_SLICES), default=list(N_SLICES))
    parser.add_argument("--images", type=int, default=6800, help="number of images for mobilenet")
    parser.add_argument("--vit-images", type=int, default=192, help="number of images for vit")
    parser.add_argument("--batch", type=int, default=16, help="number of images in a batch")
    parser.add_argument("--clip-retrieval", metavar="PYTHON", help="Python interpreter with clip-retrieval")
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
