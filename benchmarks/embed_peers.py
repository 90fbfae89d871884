"""Loops that benchmarks/embed.py compares with kadr: bare forward passes and the loops of other libraries."""

import json
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import open_clip
import timm
import torch
from PIL import Image

from kadr.clip.checkpoint import save_checkpoint
from kadr.encoders import ImageEncoder, load_image_encoder
from kadr.encoders.open_clip import OpenClipParams
from kadr.encoders.open_clip_models import WEIGHTS_NAME
from kadr.encoders.timm import TimmParams
from kadr.encoders.torch_models import torch_dtype
from kadr.params import EncoderParams

EmbeddingLoop = Callable[[list[Path]], object]
EncoderAndPeers = tuple[EncoderParams, ImageEncoder, dict[str, EmbeddingLoop]]


class ImageDataset(torch.utils.data.Dataset[torch.Tensor]):
    """A data set of image files that are preprocessed with the given transform."""

    def __init__(self, paths: list[Path], transform: Callable[[Image.Image], torch.Tensor]) -> None:
        self._paths, self._transform = paths, transform

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, row: int) -> torch.Tensor:
        return self._transform(Image.open(self._paths[row]).convert("RGB"))


def make_mobilenet(shared: Path, folder: Path, batch_size: int) -> EncoderAndPeers:
    """Return the settings and the kadr encoder for MobileNetV2 (timm), and the loops to compare."""
    name = f"local-dir:{shared}/encoders/mobilenetv2_100.imagenet"
    params = TimmParams(backend="timm", model=name)
    encoder = load_image_encoder(params, "auto")
    model = timm.create_model(name, pretrained=True, num_classes=0).eval()
    transform = timm.data.create_transform(**timm.data.resolve_data_config({}, model=model))
    loops = {
        f"timm_data_loader_{workers}": make_data_loader_loop(model, transform, batch_size, workers)
        for workers in (2, 0)
    }
    bare_model = timm.create_model(name, pretrained=True, num_classes=0).eval()
    return params, encoder, {"bare": make_bare_loop(encoder, bare_model, "forward", batch_size), **loops}


def make_vit(shared: Path, folder: Path, batch_size: int) -> EncoderAndPeers:
    """Save a ViT-B-32 with random weights in `folder`.

    Return the settings and the kadr encoder for this model, and the loops to compare.
    """
    torch.manual_seed(0)
    model = open_clip.create_model("ViT-B-32", None)
    save_checkpoint(model, open_clip.get_model_config("ViT-B-32"), open_clip.get_tokenizer("ViT-B-32"), folder)
    params = OpenClipParams(backend="open_clip", model=f"local-dir:{folder}", pretrained=None)
    encoder = load_image_encoder(params, "auto")
    clip, transform = open_clip.create_model_from_pretrained(params.model)
    encode_image = clip.eval().encode_image
    loops = {
        f"open_clip_data_loader_{workers}": make_data_loader_loop(encode_image, transform, batch_size, workers)
        for workers in (2, 0)
    }
    loops["sentence_transformers"] = make_sentence_transformers_loop(folder / "transformers", batch_size)
    return params, encoder, {"bare": make_bare_loop(encoder, model.eval(), "encode_image", batch_size), **loops}


def make_bare_loop(encoder: ImageEncoder, model: Any, method: str, batch_size: int) -> EmbeddingLoop:
    """Return a function that repeats the forward pass of one random batch.

    The precision, memory layout and number of workers are the same as in `encoder`.
    """
    dtype = torch_dtype(encoder.identity.precision)
    forward = getattr(model.to(dtype, memory_format=torch.channels_last), method)
    pixels = torch.randn(batch_size, 3, 224, 224, dtype=dtype).contiguous(memory_format=torch.channels_last)

    def run_forward(n_images: int) -> None:
        with torch.inference_mode():
            forward(pixels[:n_images])

    def embed(paths: list[Path]) -> None:
        sizes = [min(batch_size, len(paths) - start) for start in range(0, len(paths), batch_size)]
        with encoder.share_cores(), ThreadPoolExecutor(encoder.workers) as pool:
            list(pool.map(run_forward, sizes))

    return embed


def make_data_loader_loop(model: Any, transform: Any, batch_size: int, workers: int) -> EmbeddingLoop:
    """Return the loop that open_clip and timm document: a DataLoader with worker processes and an fp32 model."""

    def embed(paths: list[Path]) -> None:
        loader = torch.utils.data.DataLoader(ImageDataset(paths, transform), batch_size, num_workers=workers)
        with torch.inference_mode():
            for pixels in loader:
                torch.nn.functional.normalize(model(pixels), dim=-1)

    return embed


def make_sentence_transformers_loop(folder: Path, batch_size: int) -> EmbeddingLoop:
    """Return a sentence-transformers loop over PIL images. The model is a ViT-B-32 with random weights."""
    from sentence_transformers import SentenceTransformer
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor, CLIPTokenizer

    CLIPModel(CLIPConfig()).save_pretrained(folder)
    CLIPProcessor(CLIPImageProcessor(), CLIPTokenizer()).save_pretrained(folder)
    model = SentenceTransformer(str(folder), device="cpu")

    def embed(paths: list[Path]) -> None:
        images = [Image.open(path) for path in paths]
        model.encode(images, batch_size=batch_size, normalize_embeddings=True, show_progress_bar=False)

    return embed


def measure_clip_retrieval(python: str, folder: Path, paths: list[Path], batch_size: int) -> dict[str, float]:
    """Run clip-retrieval with the same weights and return the images per second that it reports.

    Args:
        python: Path of a Python interpreter with clip-retrieval.
        folder: Folder that contains the weights. The output is written to the same folder.
        paths: Paths of the images.
        batch_size: Number of images per batch.
    """
    images, output = folder / "photos", folder / "out"
    images.mkdir()
    for path in paths:
        (images / path.name).symlink_to(path)
    options = {
        "input_dataset": images,
        "output_folder": output,
        "clip_model": f"open_clip:ViT-B-32/{folder / WEIGHTS_NAME}",
        "batch_size": batch_size,
        "num_prepro_workers": 2,
        "enable_text": False,
    }
    arguments = [f"--{name}={value}" for name, value in options.items()]
    command = [python, "-m", "clip_retrieval.cli", "inference", *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603
    stats = json.loads((output / "stats" / "0.json").read_text())
    return {"photos_per_s": round(stats["sample_count"] / stats["total_duration"], 1)}
