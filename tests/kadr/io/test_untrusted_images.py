"""Tests of images from unknown sources: a decoder that crashes does not end this process."""

import io

import pytest
from PIL import Image

from kadr.errors import UndecodableError
from kadr.io.image_decoding import decode_image
from kadr.io.untrusted_images import check_untrusted, decode_untrusted
from kadr.params import DecodingParams
from tests.kadr.io.test_image_formats import HEIC

LIMITS = DecodingParams()
CRASHING_HEIC = HEIC.replace(b"\0\0Exif\0", b"\0\0Exi\x80\0")
"""A file that crashes the decoder of HEIC files."""


def encoded(file_format: str) -> bytes:
    file = io.BytesIO()
    Image.linear_gradient("L").resize((40, 20)).convert("RGB").save(file, file_format)
    return file.getvalue()


@pytest.mark.parametrize("content", [encoded("PNG"), encoded("TIFF"), HEIC], ids=["png", "tiff", "heic"])
def test_an_image_is_decoded_like_other_images(content: bytes) -> None:
    check_untrusted(content, "a", LIMITS)
    image = decode_untrusted(content, "a")
    assert image.tobytes() == decode_image(content, "a").tobytes()


@pytest.mark.parametrize("content", [CRASHING_HEIC, encoded("TIFF")[:300]], ids=["heic", "tiff"])
def test_a_damaged_image_is_an_error(content: bytes) -> None:
    with pytest.raises(UndecodableError, match="a: the image cannot be decoded"):
        decode_untrusted(content, "a")


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_a_large_image_is_rejected_in_each_process(file_format: str) -> None:
    for reject in (check_untrusted, lambda content, path, limits: decode_untrusted(content, path, None, limits)):
        with pytest.raises(UndecodableError, match="has 800 pixels") as raised:
            reject(encoded(file_format), "a", DecodingParams(max_pixels=799))
        assert (raised.value.status, raised.value.size) == ("too_large", (40, 20))
