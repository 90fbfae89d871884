"""The speed of embedding photos against what bounds it and against the field's own loops, in one run.

`python benchmarks/embed.py` reads the real photos of ../shared/flickr8k and prints a JSON object for each encoder: all
6,800 photos by MobileNetV2 (timm), and 192 by a ViT-B-32 with random weights (open_clip), of which two cores without
bf16 do 8 a second. It takes ten minutes on two idle cores; `--encoders`, `--photos`, `--vit-photos` and `--batch`
change that. `--clip-retrieval PYTHON` adds clip-retrieval's inference; its environment is its own, made by
`uv venv DIR && uv pip install --python DIR/bin/python clip-retrieval 'setuptools<81'`.

Photos per second are of wall clock and of processor time (fairer on a machine that others use), with the time of child
processes. Each contestant takes its turn on every slice of the photos.
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
from embed_peers import Loop, clip_retrieval, mobilenet, vit
from embed_restarts import restarts, table

from kadr.embed import EmbeddingCache, embed_images
from kadr.encoders import ImageEncoder
from kadr.encoders.allocator import keep_freed_memory

SHARED = Path("../shared")
SLICES = {"mobilenet": 4, "vit": 2}


def ours(encoder: ImageEncoder, paths: list[Path], batch: int) -> Loop:
    """kadr, with an empty cache."""
    images = table(paths)
    row_of = {path: row for row, path in enumerate(paths)}

    def loop(some: list[Path]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            cache = EmbeddingCache(folder, encoder.identity, encoder.dim)
            embed_images(encoder, images.take([row_of[path] for path in some]), cache, batch)

    return loop


@contextmanager
def timed(into: dict[str, float]) -> Iterator[None]:
    """Add the block's seconds of wall clock, and of processor time with its child processes."""
    wall, cpu = time.perf_counter(), _cpu()
    yield
    into["wall"] += time.perf_counter() - wall
    into["cpu"] += _cpu() - cpu


def _cpu() -> float:
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def compare(loops: dict[str, Loop], paths: list[Path], slices: int, batch: int) -> dict[str, object]:
    """Photos per second of each loop, and the ratios of ours to the others."""
    spent: dict[str, dict[str, float]] = {name: defaultdict(float) for name in loops}
    for loop in loops.values():
        loop(paths[: 2 * batch])
    for part in range(slices):
        for name in sorted(loops, reverse=part % 2 == 1):
            with timed(spent[name]):
                loops[name](paths[part::slices])
    return {
        "photos": len(paths),
        "photos_per_s": {
            name: {kind: round(len(paths) / s, 1) for kind, s in each.items()} for name, each in spent.items()
        },
        "ratios": {
            f"ours / {name}": {kind: round(each[kind] / spent["ours"][kind], 3) for kind in each}
            for name, each in spent.items()
            if name != "ours"
        },
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--encoders", nargs="+", choices=list(SLICES), default=list(SLICES))
    parser.add_argument("--photos", type=int, default=6800)
    parser.add_argument("--vit-photos", type=int, default=192)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--clip-retrieval", metavar="PYTHON")
    asked = parser.parse_args()
    keep_freed_memory()
    folders = (SHARED / "flickr8k" / "corpus_images", SHARED / "flickr8k" / "train_images")
    every = [path.resolve() for folder in folders for path in sorted(folder.iterdir())]
    for name in asked.encoders:
        n = min(asked.photos if name == "mobilenet" else asked.vit_photos, len(every))
        paths = [every[row] for row in np.linspace(0, len(every) - 1, n).astype(int)]
        with tempfile.TemporaryDirectory() as folder:
            spec, encoder, loops = (mobilenet if name == "mobilenet" else vit)(SHARED, Path(folder), asked.batch)
            figures = compare({"ours": ours(encoder, paths, asked.batch), **loops}, paths, SLICES[name], asked.batch)
            if name == "vit" and asked.clip_retrieval:
                figures["clip_retrieval"] = clip_retrieval(asked.clip_retrieval, Path(folder), paths, asked.batch)
            if name == "mobilenet":
                figures |= restarts(spec, encoder, paths, asked.batch, n_new=10)
        print(json.dumps({"encoder": name, "precision": encoder.identity.precision, **figures}, indent=2), flush=True)


if __name__ == "__main__":
    main()
