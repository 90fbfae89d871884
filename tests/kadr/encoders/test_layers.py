"""Inner layers beside a CNN's last features: what timm gives of them, in many threads, and what is no such layer."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image

from kadr.encoders import ImageEncoder, load_image_encoder
from kadr.encoders.layers import with_layers
from kadr.errors import EncoderError
from kadr.params import Precision, TimmParams

LAYERS = ("layer3", "layer4")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ResNet-18 whose batch normalisations do something."""
    torch.manual_seed(0)
    model = timm.create_model("resnet18")
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 2)
    path = tmp_path_factory.mktemp("weights") / "resnet18.pth"
    torch.save(model.state_dict(), path)
    return path


def load(checkpoint: Path, layers: tuple[str, ...] = LAYERS, precision: Precision = "fp32") -> ImageEncoder:
    spec = TimmParams(backend="timm", model="resnet18", checkpoint=str(checkpoint), image_size=64, layers=layers)
    return load_image_encoder(spec, precision)


@pytest.fixture(scope="module")
def photos() -> list[Image.Image]:
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(256, size=(80, 70, 3), dtype=np.uint8)) for _ in range(8)]


def test_layers_are_timm_s_own_pooled_each_of_the_same_say(checkpoint: Path, photos: list[Image.Image]) -> None:
    encoder = load(checkpoint)
    prepared = [encoder.prepare(photo) for photo in photos]
    vectors = encoder.encode(prepared)
    assert vectors.shape == (len(photos), encoder.dim) == (len(photos), 512 + 256 + 512)
    model = timm.create_model("resnet18").eval()
    model.load_state_dict(torch.load(checkpoint, weights_only=True))
    mean, std = (torch.tensor(model.pretrained_cfg[name]).view(3, 1, 1) for name in ("mean", "std"))
    pixels = (torch.from_numpy(np.stack(prepared)).float() / 255 - mean) / std
    with torch.inference_mode():
        last, (third, fourth) = model.forward_intermediates(pixels, indices=[3, 4])
        parts = [model.forward_head(last, pre_logits=True), third.mean(dim=(2, 3)), fourth.mean(dim=(2, 3))]
        wanted = torch.cat([torch.nn.functional.normalize(part) for part in parts], dim=1) / 3**0.5
    np.testing.assert_allclose(vectors, wanted.numpy(), atol=1e-5)


def test_threads_that_share_the_model_keep_their_photos_apart() -> None:
    torch.manual_seed(0)
    model, dim = with_layers(timm.create_model("resnet18", num_classes=0).eval(), LAYERS, (3, 64, 64))
    batches = torch.rand(32, 1, 3, 64, 64)
    with torch.inference_mode():
        alone = torch.cat([model(batch) for batch in batches])

    def encode(batch: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            return model(batch)

    with ThreadPoolExecutor(4) as pool:
        together = torch.cat(list(pool.map(encode, batches)))
    assert alone.shape == (32, dim)
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-6)
    assert not torch.allclose(alone[0], alone[1], atol=1e-3)


def test_half_precision_keeps_the_vectors(checkpoint: Path, photos: list[Image.Image]) -> None:
    whole, half = (load(checkpoint, precision=precision).transform(photos) for precision in ("fp32", "bf16"))
    assert (whole * half).sum(axis=1).min() > 0.999


def test_other_layers_are_other_vectors_for_the_cache(checkpoint: Path) -> None:
    keys = {load(checkpoint, layers).identity.key for layers in ((), ("layer3",), ("layer4",), LAYERS)}
    assert len(keys) == 4


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("layer9", r"layers: got 'layer9', wanted blocks of the model, such as layer1, layer1\.0, .*layer4"),
        ("layer1.0.bn1", r"layers: got 'layer1\.0\.bn1', wanted blocks"),
        ("layer1.0.bn1.act", r"layers: got 'layer1\.0\.bn1\.act', wanted blocks"),
        ("fc", r"layers: got 'fc', wanted blocks"),
        ("global_pool", r"layers: global_pool gives \(1, 512\) of a photo, wanted maps \(1, channels, height, width\)"),
    ],
)
def test_what_is_no_layer(checkpoint: Path, layer: str, message: str) -> None:
    with pytest.raises(EncoderError, match=message):
        load(checkpoint, (layer,))


def test_a_layer_named_twice(checkpoint: Path) -> None:
    with pytest.raises(EncoderError, match="layers: a block is named twice in layer4, layer4; name each once"):
        load(checkpoint, ("layer4", "layer4"))
