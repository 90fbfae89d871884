"""Tests of JPEG files whose lower part is missing, and of complete images with flat or grey lower parts."""

import io

import numpy as np
import pytest
from PIL import Image

from kadr.errors import UndecodableError
from kadr.io.image_decoding import decode_image
from kadr.io.jpeg_segments import split_jpeg

END = b"\xff\xd9"


def encoded(image: Image.Image, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", **options)
    return file.getvalue()


def smooth() -> Image.Image:
    coarse = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((640, 480), Image.Resampling.BICUBIC)


def noisy() -> Image.Image:
    noise = np.random.default_rng(0).integers(90, 166, (480, 640, 3), dtype=np.uint8)
    return Image.fromarray(noise)


def status(content: bytes, side: int | None = None) -> str:
    try:
        decode_image(content, "a.jpg", side)
    except UndecodableError as error:
        return error.status
    return "ok"


@pytest.mark.parametrize("image", [smooth(), noisy(), smooth().convert("L")], ids=["smooth", "noisy", "grey"])
@pytest.mark.parametrize(
    "options", [{}, {"optimize": True, "quality": 85, "subsampling": 0}], ids=["plain", "optimised"]
)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_an_image_without_its_lower_part_is_truncated(image: Image.Image, options: dict, share: float) -> None:
    content = encoded(image, **options)
    kept = content[: int(len(content) * share)]
    zeros = bytes(len(content) - len(kept))
    assert status(content) == "ok"
    for cut in (kept, kept + END, kept + zeros, kept + zeros[2:] + END, kept + content[:1000] + END):
        assert [status(cut, side) for side in (None, 40)] == ["truncated", "truncated"]


@pytest.mark.parametrize("image", [smooth(), noisy(), smooth().convert("L")], ids=["smooth", "noisy", "grey"])
@pytest.mark.parametrize("options", [{}, {"optimize": True, "subsampling": 0}, {"progressive": True}], ids=str)
def test_a_complete_image_without_an_end_marker_is_ok(image: Image.Image, options: dict) -> None:
    content = encoded(image, **options)
    for kept in (content[:-2], content[:-1], content[:-2] + bytes(30)):
        assert [status(kept, side) for side in (None, 40)] == ["ok", "ok"]
        assert decode_image(kept, "a.jpg").tobytes() == decode_image(content, "a.jpg").tobytes()
    for n_missing in (5, 20, 500):
        assert [status(content[:-n_missing], side) for side in (None, 40)] == ["truncated", "truncated"]
        assert status(content[:-n_missing] + bytes(n_missing)) == "truncated"


@pytest.mark.parametrize("colour", [0, 127, 128, 129, 255])
@pytest.mark.parametrize("height", [16, 100, 480])
def test_a_complete_image_with_a_flat_lower_part_is_ok(colour: int, height: int) -> None:
    image = smooth()
    image.paste((colour,) * 3, (0, 480 - height, 640, 480))
    for mode in ("RGB", "L"):
        for options in ({}, {"optimize": True}, {"progressive": True}, {"quality": 30}):
            content = encoded(image.convert(mode), **options)
            assert [status(content, side) for side in (None, 40)] == ["ok", "ok"]


def test_zeros_before_and_after_the_end_marker_are_ok() -> None:
    content = encoded(smooth())
    assert status(content[:-2] + bytes(500) + END) == "ok"
    assert status(content + bytes(500)) == "ok"


def test_the_number_of_scans_is_limited() -> None:
    content = encoded(smooth().resize((64, 48)), progressive=True)
    segments = split_jpeg(content, 200)
    assert 5 <= segments.n_scans <= 20
    last_scan = content[content.rindex(b"\xff\xda") : -2]
    with pytest.raises(UndecodableError, match="more than 200 scans") as raised:
        decode_image(content[:-2] + 200 * last_scan + END, "a.jpg")
    assert raised.value.status == "too_slow"
