"""Tests of the decoder settings of image encoders: they affect the pixels and the identity."""

from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image

from kadr.encoders import load_image_encoder
from kadr.encoders.base import Identity, ImageEncoder, Pixels
from kadr.params import IMAGE_ENCODERS, DecodingParams, EncoderParams
from tests.kadr.io.test_colour_conversion import black_dot, encoded


class LastPixel(ImageEncoder):
    """An encoder whose vectors are the colour of the last pixel."""

    params_model = EncoderParams

    def __init__(self) -> None:
        self.identity, self.dim = Identity("pixel", "pixel", "0", "none", "fp32"), 3

    @classmethod
    def load(cls, _params: object, _precision: object) -> "LastPixel":
        return cls()

    def preprocess(self, image: Image.Image) -> Pixels:
        return np.asarray(image)[-1, -1]

    def encode(self, images: Sequence[Pixels]) -> np.ndarray:
        return np.stack(images).astype(np.float32)


def test_the_background_changes_the_pixels_and_the_cache_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(IMAGE_ENCODERS), "load", lambda _registry, _name: LastPixel)
    params = EncoderParams(backend="pixel")
    white, also_white, red = (
        load_image_encoder(params, "fp32", DecodingParams(background=name)) for name in ("white", "#ffffff", "red")
    )
    content = encoded(black_dot("RGBA"), "PNG")
    assert white.preprocess_bytes(content, "a.png").tolist() == [255, 255, 255]
    assert red.preprocess_bytes(content, "a.png").tolist() == [255, 0, 0]
    assert white.identity.key == also_white.identity.key != red.identity.key
    assert white.identity.preprocessing == "none decoder 2, background #ffffff"


def test_a_limit_does_not_change_the_cache_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(IMAGE_ENCODERS), "load", lambda _registry, _name: LastPixel)
    params = EncoderParams(backend="pixel")
    keys = {load_image_encoder(params, "fp32", DecodingParams(seconds=n)).identity.key for n in (1, 2)}
    assert len(keys) == 1
