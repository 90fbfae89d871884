"""What benchmarks/embed.py measures ours against: bare forward passes, and the loops that the libraries document."""

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

from kadr.clip.checkpoint import save_clip
from kadr.encoders import ImageEncoder, load_image_encoder
from kadr.encoders.open_clip_models import WEIGHTS_NAME
from kadr.encoders.torch_models import dtype_of
from kadr.params import ImageEncoderParams, OpenClipParams, TimmParams

Loop = Callable[[list[Path]], object]
Contest = tuple[ImageEncoderParams, ImageEncoder, dict[str, Loop]]


class Photos(torch.utils.data.Dataset[torch.Tensor]):
    """Photos as a library's own transform prepares them."""

    def __init__(self, paths: list[Path], transform: Callable[[Image.Image], torch.Tensor]) -> None:
        self._paths, self._transform = paths, transform

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, row: int) -> torch.Tensor:
        return self._transform(Image.open(self._paths[row]).convert("RGB"))


def mobilenet(shared: Path, folder: Path, batch: int) -> Contest:
    """MobileNetV2 by timm: what it is, our encoder, and the loops of the others."""
    name = f"local-dir:{shared}/encoders/mobilenetv2_100.imagenet"
    spec = TimmParams(backend="timm", model=name)
    encoder = load_image_encoder(spec, "auto")
    model = timm.create_model(name, pretrained=True, num_classes=0).eval()
    transform = timm.data.create_transform(**timm.data.resolve_data_config({}, model=model))
    loops = {f"timm_data_loader_{n}": data_loader(model, transform, batch, n) for n in (2, 0)}
    laid_out = timm.create_model(name, pretrained=True, num_classes=0).eval()
    return spec, encoder, {"bare": bare(encoder, laid_out, "forward", batch), **loops}


def vit(shared: Path, folder: Path, batch: int) -> Contest:
    """A CLIP ViT-B-32 with random weights, kept in `folder`: what it is, our encoder, and the loops of the others."""
    torch.manual_seed(0)
    made = open_clip.create_model("ViT-B-32", None)
    save_clip(made, open_clip.get_model_config("ViT-B-32"), open_clip.get_tokenizer("ViT-B-32"), folder)
    spec = OpenClipParams(backend="open_clip", model=f"local-dir:{folder}", pretrained=None)
    encoder = load_image_encoder(spec, "auto")
    clip, transform = open_clip.create_model_from_pretrained(spec.model)
    loops = {f"open_clip_data_loader_{n}": data_loader(clip.eval().encode_image, transform, batch, n) for n in (2, 0)}
    loops["sentence_transformers"] = sentence_transformers(folder / "transformers", batch)
    return spec, encoder, {"bare": bare(encoder, made.eval(), "encode_image", batch), **loops}


def bare(encoder: ImageEncoder, model: Any, method: str, batch: int) -> Loop:
    """Forward passes alone, over one ready batch, in our precision and layout and on as many workers."""
    dtype = dtype_of(encoder.identity.precision)
    forward = getattr(model.to(dtype, memory_format=torch.channels_last), method)
    pixels = torch.randn(batch, 3, 224, 224, dtype=dtype).contiguous(memory_format=torch.channels_last)

    def once(n: int) -> None:
        with torch.inference_mode():
            forward(pixels[:n])

    def loop(paths: list[Path]) -> None:
        sizes = [min(batch, len(paths) - start) for start in range(0, len(paths), batch)]
        with encoder.at_work(), ThreadPoolExecutor(encoder.workers) as pool:
            list(pool.map(once, sizes))

    return loop


def data_loader(model: Any, transform: Any, batch: int, workers: int) -> Loop:
    """The loop of open_clip's and timm's documentation: a DataLoader of processes beside an fp32 model."""

    def loop(paths: list[Path]) -> None:
        loader = torch.utils.data.DataLoader(Photos(paths, transform), batch, num_workers=workers)
        with torch.inference_mode():
            for pixels in loader:
                torch.nn.functional.normalize(model(pixels), dim=-1)

    return loop


def sentence_transformers(folder: Path, batch: int) -> Loop:
    """sentence-transformers' loop over PIL images, with a CLIP of transformers: the same ViT-B-32, random weights."""
    from sentence_transformers import SentenceTransformer
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor, CLIPTokenizer

    CLIPModel(CLIPConfig()).save_pretrained(folder)
    CLIPProcessor(CLIPImageProcessor(), CLIPTokenizer()).save_pretrained(folder)
    model = SentenceTransformer(str(folder), device="cpu")

    def loop(paths: list[Path]) -> None:
        images = [Image.open(path) for path in paths]
        model.encode(images, batch_size=batch, normalize_embeddings=True, show_progress_bar=False)

    return loop


def clip_retrieval(python: str, folder: Path, paths: list[Path], batch: int) -> dict[str, float]:
    """Photos per second of wall clock by clip-retrieval's own count of its batches, with the same weights."""
    photos, out = folder / "photos", folder / "out"
    photos.mkdir()
    for path in paths:
        (photos / path.name).symlink_to(path)
    options = {
        "input_dataset": photos,
        "output_folder": out,
        "clip_model": f"open_clip:ViT-B-32/{folder / WEIGHTS_NAME}",
        "batch_size": batch,
        "num_prepro_workers": 2,
        "enable_text": False,
    }
    command = [
        python,
        "-m",
        "clip_retrieval.cli",
        "inference",
        *(f"--{name}={value}" for name, value in options.items()),
    ]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603
    stats = json.loads((out / "stats" / "0.json").read_text())
    return {"photos_per_s": round(stats["sample_count"] / stats["total_duration"], 1)}
