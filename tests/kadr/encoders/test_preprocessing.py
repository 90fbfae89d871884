"""Photos prepared as tensors: PIL's pixels, and vectors that stay where a device decodes and resizes for itself."""

import hashlib
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image
from timm.data.transforms import ResizeKeepRatio
from torchvision.transforms import CenterCrop, InterpolationMode, Resize

from kadr.embed import EmbeddingCache, bad_photos, embed_images
from kadr.encoders import load_image_encoder
from kadr.encoders.preprocessing import Preparation
from kadr.encoders.torch_images import TorchImageEncoder
from kadr.encoders.torch_models import resolve_precision
from kadr.io.image_decoding import DETAIL, is_plain_jpeg
from kadr.io.schemas import IMAGES
from kadr.params import TimmParams

FAITHFUL = 0.9995
COLOURS = ((0.5, 0.4, 0.3), (0.2, 0.3, 0.25))
CUBIC, LINEAR = InterpolationMode.BICUBIC, InterpolationMode.BILINEAR


def scene(width: int, height: int) -> Image.Image:
    coarse = np.random.default_rng(width).integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def content(photo: Image.Image, name: str, **options: object) -> bytes:
    file = io.BytesIO()
    photo.save(file, name, **options)
    return file.getvalue()


def aside() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


@pytest.mark.parametrize(
    "steps",
    [
        [Resize(64, CUBIC), CenterCrop(56)],
        [Resize((56, 56), CUBIC)],
        [Resize(56, LINEAR), CenterCrop((56, 56))],
        [Resize((56, 72), InterpolationMode.LANCZOS)],
    ],
)
@pytest.mark.parametrize("size", [(40, 40), (200, 96), (96, 200), (640, 480)])
def test_tensors_are_resized_to_the_pixels_of_pil(steps: list[Callable[..., object]], size: tuple[int, int]) -> None:
    preparation = Preparation(steps, *COLOURS, 56)
    assert preparation.on_tensors
    own = scene(*size)
    pixels = preparation.resized(own)
    for step in steps:
        own = step(own)
    levels = np.abs(pixels.astype(int) - np.asarray(own).transpose(2, 0, 1))
    assert levels.max() <= 2
    assert levels.mean() <= 0.3


def test_steps_that_are_not_torchvisions_are_done_by_pil() -> None:
    preparation = Preparation([ResizeKeepRatio((56, 56)), CenterCrop(56)], *COLOURS, 56)
    assert not preparation.on_tensors
    assert preparation.resized(scene(96, 64)).shape == (3, 56, 56)


def test_colours_are_normalised_as_torchvision_does() -> None:
    from torchvision.transforms.functional import normalize

    photos = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 3, 6, 8), dtype=np.uint8))
    made = Preparation([], *COLOURS, 6).normalised(photos, torch.float32)
    torch.testing.assert_close(made, normalize(photos / 255, *COLOURS), atol=1e-5, rtol=1e-5, check_stride=False)


@pytest.mark.parametrize(
    ("jpeg", "plain"),
    [
        (content(scene(96, 64), "JPEG"), True),
        (content(scene(96, 64).convert("L"), "JPEG"), True),
        (content(scene(96, 64).convert("CMYK"), "JPEG"), False),
        (content(scene(96, 64), "JPEG", exif=aside()), False),
        (content(scene(32 * DETAIL, 48 * DETAIL), "JPEG"), False),
        (content(scene(96, 64), "PNG"), False),
        (b"no photo", False),
    ],
    ids=["rgb", "grey", "cmyk", "on its side", "large", "png", "no photo"],
)
def test_a_plain_jpeg_wants_neither_exif_nor_scaling(jpeg: bytes, plain: bool) -> None:
    assert is_plain_jpeg(jpeg, 16) is plain


def test_a_gpu_with_tensor_cores_takes_fp16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for capability, precision in [((9, 0), "fp16"), ((6, 1), "fp32")]:
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda n, low=capability: low if n == 1 else (9, 0))
        assert resolve_precision("auto", "cuda", torch.nn.Identity()) == precision


@pytest.fixture(scope="module")
def encoder(shared: Path) -> TorchImageEncoder:
    name = f"local-dir:{shared / 'encoders' / 'mobilenetv2_100.imagenet'}"
    made = load_image_encoder(TimmParams(backend="timm", model=name), "auto")
    assert isinstance(made, TorchImageEncoder)
    return made


@pytest.fixture(scope="module")
def paths(shared: Path) -> list[Path]:
    return sorted((shared / "flickr8k" / "train_images").iterdir())[:12]


def cosines(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return (one * other).sum(axis=1)


@pytest.mark.slow
def test_photos_that_the_device_decodes_keep_their_vectors_and_their_order(
    encoder: TorchImageEncoder, paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = [path.read_bytes() for path in paths]
    contents[1] = content(Image.open(paths[1]), "PNG")
    by_pil = encoder.encode([encoder.read(one, "") for one in contents])
    monkeypatch.setattr(encoder, "takes_jpegs", True)
    read = [encoder.read(one, "") for one in contents]
    assert [photo.ndim for photo in read] == [1, 3] + [1] * 10
    assert cosines(encoder.encode(read), by_pil).min() >= FAITHFUL


@pytest.mark.slow
def test_resizing_in_float32_as_gpus_do_keeps_vectors(encoder: TorchImageEncoder, paths: list[Path]) -> None:
    photos = [Image.open(path).convert("RGB") for path in paths]
    resize = encoder._preparation.cropped
    exact = [torch.from_numpy(np.array(photo)).permute(2, 0, 1).float() for photo in photos]
    floats = [resize(photo).clamp(0, 255).round().to(torch.uint8).numpy() for photo in exact]
    assert cosines(encoder.encode(floats), encoder.transform(photos)).min() >= FAITHFUL


@pytest.mark.slow
def test_a_jpeg_that_the_device_does_not_decode_costs_no_other_photo_of_its_batch(
    encoder: TorchImageEncoder, paths: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoder, "takes_jpegs", True)
    half = tmp_path / "half.jpg"
    half.write_bytes(paths[0].read_bytes()[:4000])
    rows = [
        {
            "image_id": path.name,
            "path": str(path),
            "split": "train",
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "status": "ok",
        }
        for path in [*paths[:3], half]
    ]
    images = pa.Table.from_pylist(rows, IMAGES)
    cache = EmbeddingCache(tmp_path / "cache", encoder.identity, encoder.dim)
    embeddings = embed_images(encoder, images, cache, 4)
    assert len(embeddings.ids) == 3
    assert bad_photos(images, embeddings, cache) == {"half.jpg": "unreadable"}


@pytest.mark.slow
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that torch can use is on this machine")
def test_a_gpu_keeps_the_vectors_of_the_cpu(
    encoder: TorchImageEncoder, shared: Path, paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = [path.read_bytes() for path in paths]
    on_gpu = encoder.encode([encoder.read(one, "") for one in contents])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    name = f"local-dir:{shared / 'encoders' / 'mobilenetv2_100.imagenet'}"
    on_cpu = load_image_encoder(TimmParams(backend="timm", model=name), "fp32")
    assert cosines(on_gpu, on_cpu.encode([on_cpu.read(one, "") for one in contents])).min() >= FAITHFUL
