"""Tests of the EXIF orientation: all eight values, and tags that web browsers ignore."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageOps

from kadr.io.exif_orientation import find_orientation, read_orientation
from kadr.io.image_decoding import decode_image, open_image

ORIENTATION, SHORT, TEXT, RATIO = 0x0112, 3, 2, 5


def exif(kind: int, count: int, value: bytes, order: str = "<") -> bytes:
    """Return an EXIF block with an orientation tag."""
    header = b"II*\0" if order == "<" else b"MM\0*"
    entry = struct.pack(f"{order}HHI", ORIENTATION, kind, count) + value.ljust(4, b"\0")
    return header + struct.pack(f"{order}IH", 8, 1) + entry + bytes(4)


def scene() -> Image.Image:
    coarse = np.random.default_rng(0).integers(0, 256, (3, 4, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((40, 24), Image.Resampling.NEAREST)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_an_image_is_turned_like_pillow_turns_it(file_format: str, orientation: int) -> None:
    tags = Image.Exif()
    tags[ORIENTATION] = orientation
    file = io.BytesIO()
    scene().save(file, file_format, exif=tags)
    with Image.open(io.BytesIO(file.getvalue())) as image:
        expected = ImageOps.exif_transpose(image).convert("RGB")
    with open_image(file.getvalue(), "a") as opened:
        assert opened.size == expected.size
    assert decode_image(file.getvalue(), "a").tobytes() == expected.tobytes()


@pytest.mark.parametrize(
    ("block", "orientation"),
    [
        (exif(SHORT, 1, b"\6\0"), 6),
        (exif(SHORT, 1, b"\0\6", ">"), 6),
        (exif(SHORT, 1, b"\0\0"), 1),
        (exif(SHORT, 1, b"\x09\0"), 1),
        (exif(SHORT, 2, b"\6\0\6\0"), 1),
        (exif(TEXT, 2, b"6\0"), 1),
        (exif(RATIO, 1, b"\x1a\0\0\0"), 1),
        (exif(SHORT, 1, b"\6\0")[:14], 1),
        (b"Exif\0\0" + exif(SHORT, 1, b"\6\0"), 1),
        (b"II*\0\xff\xff\xff\x7f", 1),
        (b"", 1),
        (None, 1),
    ],
)
def test_only_a_valid_tag_turns_the_image(block: bytes | None, orientation: int) -> None:
    assert read_orientation(block) == orientation
    assert (find_orientation(block) is None) == (orientation == 1)
