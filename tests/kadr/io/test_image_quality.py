"""Tests of `kadr.io.image_quality`."""

import imagehash
import numpy as np
import pytest
from PIL import Image

from kadr.io.image_quality import HASH_SIZE, measure_image


def noise(seed: int) -> Image.Image:
    """Draw a smooth random pattern."""
    values = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(values).resize(HASH_SIZE, Image.Resampling.BICUBIC)


@pytest.mark.parametrize(
    "image",
    [*map(noise, range(20)), Image.new("RGB", HASH_SIZE), Image.new("RGB", HASH_SIZE, "white")],
)
def test_the_hash_is_that_of_imagehash(image: Image.Image) -> None:
    assert measure_image(image).phash == str(imagehash.phash(image))
