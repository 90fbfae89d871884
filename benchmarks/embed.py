"""The speed of embedding photos against what bounds it and against the field's own loops, in one run.

`python benchmarks/embed.py [--photos 6800] [--batch 16] [--encoder mobilenet|vit]` reads the real photos of
../shared/flickr8k and prints one JSON object: photos per second of wall clock and per second of processor time (fairer
on a machine that others use), and the ratios. Each contestant takes its turn on every slice of the photos.
"""

import argparse
import hashlib
import json
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pyarrow as pa
import timm
import torch
from PIL import Image

from kadr.clip.folder import save_clip
from kadr.embed import EmbeddingCache, embed_images
from kadr.encoders import ImageEncoder, load_image_encoder
from kadr.memory import keep_freed_memory
from kadr.params import OpenClipParams, TimmParams
from kadr.photos import read_photo
from kadr.schemas import IMAGES

SHARED = Path("../shared")
MOBILENET = f"local-dir:{SHARED}/encoders/mobilenetv2_100.imagenet"
SLICES = 4

Loop = Callable[[list[Path]], object]


class Photos(torch.utils.data.Dataset[torch.Tensor]):
    """Photos as a library's own transform prepares them."""

    def __init__(self, paths: list[Path], transform: Callable[[Image.Image], torch.Tensor]) -> None:
        self._paths, self._transform = paths, transform

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, row: int) -> torch.Tensor:
        return self._transform(Image.open(self._paths[row]).convert("RGB"))


def table(paths: list[Path]) -> pa.Table:
    """Photos as ingest lists them."""
    rows = [{"image_id": path.name, "path": str(path), "split": "train", "status": "ok"} for path in paths]
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    return pa.Table.from_pylist([{**row, "sha256": d} for row, d in zip(rows, digests, strict=True)], IMAGES)


def bare(encoder: ImageEncoder, batch: int) -> Loop:
    """Forward passes alone, over one prepared batch, on the same workers."""
    pixels: list[Any] = []

    def loop(paths: list[Path]) -> None:
        if not pixels:
            pixels.append(np.stack([encoder.prepare(Image.open(path).convert("RGB")) for path in paths[:batch]]))
        sizes = [min(batch, len(paths) - start) for start in range(0, len(paths), batch)]
        with encoder.at_work(), ThreadPoolExecutor(encoder.workers) as pool:
            list(pool.map(lambda size: encoder.encode(pixels[0][:size]), sizes))

    return loop


def ours(encoder: ImageEncoder, batch: int) -> Loop:
    """kadr, with an empty cache."""

    def loop(paths: list[Path]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            embed_images(encoder, table(paths), EmbeddingCache(folder, encoder.identity, encoder.dim), batch)

    return loop


def data_loader(model: Any, transform: Any, batch: int, workers: int) -> Loop:
    """The loop of open_clip's and timm's documentation: a DataLoader of processes beside an fp32 model."""

    def loop(paths: list[Path]) -> None:
        loader = torch.utils.data.DataLoader(Photos(paths, transform), batch, num_workers=workers)
        with torch.inference_mode():
            for pixels in loader:
                torch.nn.functional.normalize(model(pixels), dim=-1)

    return loop


def contestants(name: str, batch: int, folder: Path) -> tuple[ImageEncoder, dict[str, Loop]]:
    """Our encoder, and what is measured: its bare forward pass, ours, and the library's own loop."""
    if name == "mobilenet":
        encoder = load_image_encoder(TimmParams(backend="timm", model=MOBILENET), "auto")
        model = timm.create_model(MOBILENET, pretrained=True, num_classes=0).eval()
        transform = timm.data.create_transform(**timm.data.resolve_data_config({}, model=model))
    else:
        torch.manual_seed(0)
        made = open_clip.create_model("ViT-B-32", None)
        save_clip(made, open_clip.get_model_config("ViT-B-32"), open_clip.get_tokenizer("ViT-B-32"), folder)
        encoder = load_image_encoder(
            OpenClipParams(backend="open_clip", model=f"local-dir:{folder}", pretrained=None), "auto"
        )
        clip, transform = open_clip.create_model_from_pretrained(f"local-dir:{folder}")
        model = clip.eval().encode_image
    return encoder, {
        "bare": bare(encoder, batch),
        "ours": ours(encoder, batch),
        "data_loader_2": data_loader(model, transform, batch, 2),
        "data_loader_0": data_loader(model, transform, batch, 0),
    }


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


def restarts(encoder: ImageEncoder, paths: list[Path], batch: int, new: int) -> dict[str, float]:
    """Seconds of ten more photos among cached ones, beside their forward pass; and of a run resumed half way."""
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        cache = EmbeddingCache(folder, encoder.identity, encoder.dim)
        images = table(paths)
        start = time.perf_counter()
        embed_images(encoder, images.slice(0, len(paths) // 2), cache, batch)
        figures["first_half_s"] = time.perf_counter() - start
        start = time.perf_counter()
        embed_images(encoder, images.slice(0, len(paths) - new), cache, batch)
        figures["resumed_second_half_s"] = time.perf_counter() - start
        start = time.perf_counter()
        embed_images(encoder, images, cache, batch)
        figures[f"{new}_new_s"] = time.perf_counter() - start
        last = [read_photo(row["path"], row["sha256"]) for row in images.slice(len(paths) - new).to_pylist()]
        start = time.perf_counter()
        encoder.transform(last)
        figures[f"{new}_new_forward_s"] = time.perf_counter() - start
        start = time.perf_counter()
        embed_images(encoder, images, cache, batch)
        figures["all_cached_s"] = time.perf_counter() - start
    return {name: round(seconds, 2) for name, seconds in figures.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=6800)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--encoder", choices=["mobilenet", "vit"], default="mobilenet")
    asked = parser.parse_args()
    keep_freed_memory()
    folders = (SHARED / "flickr8k" / "corpus_images", SHARED / "flickr8k" / "train_images")
    paths = [path for folder in folders for path in sorted(folder.iterdir())]
    paths = [paths[row] for row in np.linspace(0, len(paths) - 1, min(asked.photos, len(paths))).astype(int)]
    with tempfile.TemporaryDirectory() as folder:
        encoder, loops = contestants(asked.encoder, asked.batch, Path(folder))
    spent: dict[str, dict[str, float]] = {name: defaultdict(float) for name in loops}
    for part in range(-1, SLICES):
        for name, loop in loops.items():
            with timed(spent[name] if part >= 0 else defaultdict(float)):
                loop(paths[part::SLICES] if part >= 0 else paths[: 2 * asked.batch])
    rates = {name: {kind: round(len(paths) / s, 1) for kind, s in each.items()} for name, each in spent.items()}
    ratios = {
        f"ours / {name}": {kind: round(spent[name][kind] / spent["ours"][kind], 2) for kind in ("wall", "cpu")}
        for name in loops
        if name != "ours"
    }
    figures = {
        "encoder": encoder.identity.encoder if asked.encoder == "mobilenet" else "ViT-B-32, random weights",
        "precision": encoder.identity.precision,
        "photos": len(paths),
        "photos_per_s": rates,
        "ratios": ratios,
        **restarts(encoder, paths, asked.batch, 10),
    }
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
