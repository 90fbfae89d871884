"""Image vectors that contain features of earlier CNN layers."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image

from kadr.encoders import ImageEncoder, load_image_encoder
from kadr.encoders.layer_features import append_layer_features
from kadr.encoders.timm import TimmParams
from kadr.errors import EncoderError
from kadr.params import Precision

LAYERS = ("layer3", "layer4")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of ResNet-18 weights with random batch normalisation statistics."""
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
    params = TimmParams(backend="timm", model="resnet18", checkpoint=str(checkpoint), image_size=64, layers=layers)
    return load_image_encoder(params, precision)


@pytest.fixture(scope="module")
def images() -> list[Image.Image]:
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(256, size=(80, 70, 3), dtype=np.uint8)) for _ in range(8)]


def test_layer_features_are_pooled_maps_with_equal_weight(checkpoint: Path, images: list[Image.Image]) -> None:
    encoder = load(checkpoint)
    preprocessed = [encoder.preprocess(image) for image in images]
    vectors = encoder.encode(preprocessed)
    assert vectors.shape == (len(images), encoder.dim) == (len(images), 512 + 256 + 512)
    model = timm.create_model("resnet18").eval()
    model.load_state_dict(torch.load(checkpoint, weights_only=True))
    mean, std = (torch.tensor(model.pretrained_cfg[name]).view(3, 1, 1) for name in ("mean", "std"))
    pixels = (torch.from_numpy(np.stack(preprocessed)).float() / 255 - mean) / std
    with torch.inference_mode():
        last, (third, fourth) = model.forward_intermediates(pixels, indices=[3, 4])
        parts = [model.forward_head(last, pre_logits=True), third.mean(dim=(2, 3)), fourth.mean(dim=(2, 3))]
        expected = torch.cat([torch.nn.functional.normalize(part) for part in parts], dim=1) / 3**0.5
    np.testing.assert_allclose(vectors, expected.numpy(), atol=1e-5)


def test_threads_that_share_the_model_do_not_mix_up_their_images() -> None:
    torch.manual_seed(0)
    model, dim = append_layer_features(timm.create_model("resnet18", num_classes=0).eval(), LAYERS, (3, 64, 64))
    batches = torch.rand(32, 1, 3, 64, 64)

    def encode(batch: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            return model(batch)

    expected = torch.cat([encode(batch) for batch in batches])
    with ThreadPoolExecutor(4) as pool:
        concurrent = torch.cat(list(pool.map(encode, batches)))
    assert expected.shape == (32, dim)
    torch.testing.assert_close(concurrent, expected, rtol=0, atol=1e-6)
    assert not torch.allclose(expected[0], expected[1], atol=1e-3)


def test_bf16_keeps_the_vectors(checkpoint: Path, images: list[Image.Image]) -> None:
    fp32, bf16 = (load(checkpoint, precision=precision).transform(images) for precision in ("fp32", "bf16"))
    assert not np.array_equal(fp32, bf16)
    assert (fp32 * bf16).sum(axis=1).min() > 0.999


def test_each_choice_of_layers_has_its_own_cache_key(checkpoint: Path) -> None:
    keys = {load(checkpoint, layers).identity.key for layers in ((), ("layer3",), ("layer4",), LAYERS)}
    assert len(keys) == 4


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("layer9", r"the model has no block 'layer9'\. Use the name of a block, such as layer1, layer1\.0, .*layer4"),
        ("layer1.0.bn1", r"the model has no block 'layer1\.0\.bn1'"),
        ("layer1.0.bn1.act", r"the model has no block 'layer1\.0\.bn1\.act'"),
        ("fc", r"the model has no block 'fc'"),
        ("global_pool", r"the output of global_pool has the shape \(1, 512\), expected \(1, channels"),
    ],
)
def test_an_unsuitable_layer_is_an_error(checkpoint: Path, layer: str, message: str) -> None:
    with pytest.raises(EncoderError, match=message):
        load(checkpoint, (layer,))


def test_a_repeated_layer_is_an_error(checkpoint: Path) -> None:
    with pytest.raises(EncoderError, match="layers: layer4, layer4 lists a block more than once"):
        load(checkpoint, ("layer4", "layer4"))
