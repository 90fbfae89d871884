"""Tests of the visual signature: copies of an image agree, and different images with similar hashes do not."""

import io
import random
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from kadr.io.image_signature import SIGNATURE_BYTES, compute_signature, is_near_duplicate, stack_signatures

FONT = ImageFont.load_default(20)
WORDS = ("rent", "letter", "of", "a", "summer", "holiday", "and", "invoice", "winter", "school")


def agree(left: Image.Image, right: Image.Image) -> bool:
    signatures = [
        compute_signature(np.asarray(image.convert("L")), np.asarray(image.convert("RGB"))) for image in (left, right)
    ]
    stacked, known = stack_signatures(signatures)
    assert known.all()
    (result,) = is_near_duplicate(stacked[:1], stacked[1:])
    return bool(result)


def card(colour: str) -> Image.Image:
    return Image.new("RGB", (320, 240), colour)


def thing(colour: str, shape: str) -> Image.Image:
    image = Image.new("RGB", (400, 400), "white")
    getattr(ImageDraw.Draw(image), shape)((150, 150, 260, 250), fill=colour)
    return image


def page(seed: int) -> Image.Image:
    words, image = random.Random(seed), Image.new("RGB", (600, 850), "white")
    for line in range(25):
        text = " ".join(words.choice(WORDS) for _ in range(words.randint(6, 9)))
        ImageDraw.Draw(image).text((50, 60 + 28 * line), text, fill="black", font=FONT)
    return image


def scene() -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 255, (9, 12, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((600, 450), Image.Resampling.BICUBIC)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (card("red"), card("#008000")),  # almost the same luminance
        (card("white"), card("black")),
        (thing("red", "ellipse"), thing("blue", "ellipse")),
        (thing("red", "ellipse"), thing("red", "rectangle")),
        (page(0), page(1)),
    ],
)
def test_different_images_differ(left: Image.Image, right: Image.Image) -> None:
    assert not agree(left, right)


def halve(image: Image.Image) -> Image.Image:
    return image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)


def compress(image: Image.Image) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=30)
    return Image.open(file)


def crop(image: Image.Image) -> Image.Image:
    width, height = image.size
    return image.crop((width // 100, height // 100, width - width // 100, height - height // 100))


@pytest.mark.parametrize("image", [card("red"), thing("red", "ellipse"), page(0), scene()])
@pytest.mark.parametrize("change", [lambda image: image.copy(), halve, compress])
def test_copies_agree(image: Image.Image, change: Callable[[Image.Image], Image.Image]) -> None:
    assert agree(image, change(image))


def test_a_slightly_cropped_photo_agrees() -> None:
    assert agree(scene(), crop(scene()))


def test_unknown_signatures_are_marked() -> None:
    stacked, known = stack_signatures([None, bytes(SIGNATURE_BYTES)])
    assert (stacked.shape, known.tolist()) == ((2, SIGNATURE_BYTES), [False, True])
    assert stack_signatures([])[0].shape == (0, SIGNATURE_BYTES)
