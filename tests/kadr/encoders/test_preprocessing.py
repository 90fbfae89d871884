"""Preprocessing of image tensors compared with PIL, and decoding on a device."""

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

from kadr.embed import EmbeddingCache, embed_images, undecodable_images
from kadr.encoders import load_image_encoder
from kadr.encoders.preprocessing import Preprocessing
from kadr.encoders.timm import TimmParams
from kadr.encoders.torch_images import TorchImageEncoder
from kadr.encoders.torch_models import resolve_precision
from kadr.io.image_decoding import JPEG_OVERSAMPLING, is_plain_jpeg
from kadr.io.schemas import IMAGES

MIN_COSINE = 0.9995
MEAN_AND_STD = ((0.5, 0.4, 0.3), (0.2, 0.3, 0.25))
CUBIC, LINEAR = InterpolationMode.BICUBIC, InterpolationMode.BILINEAR


def smooth_image(width: int, height: int) -> Image.Image:
    coarse = np.random.default_rng(width).integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def file_bytes(image: Image.Image, file_format: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def rotated_exif() -> Image.Exif:
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
def test_tensors_are_resized_like_pil_images(steps: list[Callable[..., object]], size: tuple[int, int]) -> None:
    preprocessing = Preprocessing(steps, *MEAN_AND_STD, 56)
    assert preprocessing.supports_tensors
    image = smooth_image(*size)
    pixels = preprocessing.resize(image)
    for step in steps:
        image = step(image)
    differences = np.abs(pixels.astype(int) - np.asarray(image).transpose(2, 0, 1))
    assert differences.max() <= 2
    assert differences.mean() <= 0.3


def test_steps_of_other_libraries_run_on_pil_images() -> None:
    preprocessing = Preprocessing([ResizeKeepRatio((56, 56)), CenterCrop(56)], *MEAN_AND_STD, 56)
    assert not preprocessing.supports_tensors
    assert preprocessing.resize(smooth_image(96, 64)).shape == (3, 56, 56)


def test_normalisation_equals_torchvision() -> None:
    from torchvision.transforms.functional import normalize

    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 3, 6, 8), dtype=np.uint8))
    normalised = Preprocessing([], *MEAN_AND_STD, 6).normalise(images, torch.float32)
    expected = normalize(images / 255, *MEAN_AND_STD)
    torch.testing.assert_close(normalised, expected, atol=1e-5, rtol=1e-5, check_stride=False)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (file_bytes(smooth_image(96, 64), "JPEG"), True),
        (file_bytes(smooth_image(96, 64).convert("L"), "JPEG"), True),
        (file_bytes(smooth_image(96, 64).convert("CMYK"), "JPEG"), False),
        (file_bytes(smooth_image(96, 64), "JPEG", exif=rotated_exif()), False),
        (file_bytes(smooth_image(32 * JPEG_OVERSAMPLING, 48 * JPEG_OVERSAMPLING), "JPEG"), False),
        (file_bytes(smooth_image(96, 64), "PNG"), False),
        (b"not an image", False),
    ],
    ids=["rgb", "grey", "cmyk", "rotated", "large", "png", "not an image"],
)
def test_only_upright_jpegs_of_ordinary_size_are_plain(content: bytes, expected: bool) -> None:
    assert is_plain_jpeg(content, 16) is expected


def test_auto_precision_on_gpus_depends_on_tensor_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for capability, precision in [((9, 0), "fp16"), ((6, 1), "fp32")]:
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda n, low=capability: low if n == 1 else (9, 0))
        assert resolve_precision("auto", "cuda", torch.nn.Identity()) == precision


@pytest.fixture(scope="module")
def mobilenet(shared: Path) -> TimmParams:
    return TimmParams(backend="timm", model=f"local-dir:{shared / 'encoders' / 'mobilenetv2_100.imagenet'}")


@pytest.fixture(scope="module")
def encoder(mobilenet: TimmParams) -> TorchImageEncoder:
    encoder = load_image_encoder(mobilenet, "auto")
    assert isinstance(encoder, TorchImageEncoder)
    return encoder


@pytest.fixture(scope="module")
def paths(shared: Path) -> list[Path]:
    return sorted((shared / "flickr8k" / "train_images").iterdir())[:12]


def cosines(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return (first * second).sum(axis=1)


@pytest.mark.slow
def test_images_decoded_on_the_device_keep_their_vectors_and_their_order(
    encoder: TorchImageEncoder, paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = [path.read_bytes() for path in paths]
    contents[1] = file_bytes(Image.open(paths[1]), "PNG")
    decoded_by_pil = encoder.encode([encoder.preprocess_bytes(content, "") for content in contents])
    monkeypatch.setattr(encoder, "decodes_on_device", True)
    images = [encoder.preprocess_bytes(content, "") for content in contents]
    assert [image.ndim for image in images] == [1, 3] + [1] * 10
    assert cosines(encoder.encode(images), decoded_by_pil).min() >= MIN_COSINE


@pytest.mark.slow
def test_resizing_in_float32_keeps_the_vectors(encoder: TorchImageEncoder, paths: list[Path]) -> None:
    """GPUs resize images in float32, and CPUs resize them in uint8."""
    images = [Image.open(path).convert("RGB") for path in paths]
    resize = encoder._preprocessing.resize_tensor
    tensors = [torch.from_numpy(np.array(image)).permute(2, 0, 1).float() for image in images]
    resized = [resize(tensor).clamp(0, 255).round().to(torch.uint8).numpy() for tensor in tensors]
    assert cosines(encoder.encode(resized), encoder.transform(images)).min() >= MIN_COSINE


@pytest.mark.slow
def test_a_jpeg_that_the_device_cannot_decode_does_not_affect_the_rest_of_its_batch(
    encoder: TorchImageEncoder, paths: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoder, "decodes_on_device", True)
    truncated = tmp_path / "truncated.jpg"
    truncated.write_bytes(paths[0].read_bytes()[:4000])
    rows = [
        {
            "image_id": path.name,
            "path": str(path),
            "split": "train",
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "status": "ok",
        }
        for path in [*paths[:3], truncated]
    ]
    images = pa.Table.from_pylist(rows, IMAGES)
    cache = EmbeddingCache(tmp_path / "cache", encoder.identity, encoder.dim)
    embeddings = embed_images(encoder, images, cache, 4)
    assert len(embeddings.ids) == 3
    assert undecodable_images(images, embeddings, cache) == {"truncated.jpg": "truncated"}


@pytest.mark.slow
@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch cannot use a GPU on this machine")
def test_vectors_of_a_gpu_equal_vectors_of_the_cpu(
    encoder: TorchImageEncoder, mobilenet: TimmParams, paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = [path.read_bytes() for path in paths]
    gpu_vectors = encoder.encode([encoder.preprocess_bytes(content, "") for content in contents])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    cpu_encoder = load_image_encoder(mobilenet, "fp32")
    cpu_vectors = cpu_encoder.encode([cpu_encoder.preprocess_bytes(content, "") for content in contents])
    assert cosines(gpu_vectors, cpu_vectors).min() >= MIN_COSINE
