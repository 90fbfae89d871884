"""Tests of image decoding: formats, size limits, orientation and errors."""

import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kadr.errors import InputError, UndecodableError
from kadr.io.image_decoding import decode_image, open_image, read_image
from kadr.io.thumbnails import open_thumbnail
from kadr.params import DecodingParams

ORIENTATION = 0x0112


def encoded(image: Image.Image, format_: str = "JPEG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, format_, **options)
    return file.getvalue()


def rotated(width: int, height: int) -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    return encoded(Image.new("RGB", (width, height)), exif=exif)


def test_16_bit_grey_decodes_like_8_bit_grey() -> None:
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4
    wide = decode_image(encoded(Image.fromarray(grey.astype(np.uint16) * 257), "PNG"), "16.png")
    narrow = decode_image(encoded(Image.fromarray(grey), "PNG"), "8.png")
    assert wide.mode == "RGB"
    assert np.array_equal(np.asarray(wide), np.asarray(narrow))


def test_images_are_rotated_by_their_orientation(tmp_path: Path) -> None:
    content = rotated(8, 4)
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    assert read_image(path, hashlib.sha256(content).hexdigest()).size == (4, 8)
    assert open_thumbnail(path, 100).size == (4, 8)
    with open_image(content, path) as image:
        assert image.size == (4, 8)


def test_a_large_jpeg_is_decoded_at_a_reduced_size() -> None:
    content = encoded(Image.new("RGB", (2000, 1600)))
    assert decode_image(content, "a.jpg").size == (2000, 1600)
    assert decode_image(content, "a.jpg", side=100).size == (500, 400)
    assert decode_image(content, "a.jpg", side=100, oversampling=1).size == (250, 200)


JPEG = encoded(Image.effect_noise((64, 64), 50))


@pytest.mark.parametrize(
    ("content", "status", "message"),
    [
        (b"", "empty_file", "the image file is empty"),
        (b"text", "not_an_image", "not an image in a supported format"),
        (encoded(Image.new("RGB", (8, 8)), "PPM"), "not_an_image", "Use one of JPEG"),
        (JPEG[: len(JPEG) // 2], "truncated", "the end of the image data is missing"),
        (encoded(Image.new("RGB", (101, 100))), "too_large", r"10,100 pixels \(101 x 100\), expected at most 10,000"),
    ],
)
def test_undecodable_images_have_a_status(content: bytes, status: str, message: str) -> None:
    with pytest.raises(UndecodableError, match=message) as raised:
        decode_image(content, "a.jpg", limits=DecodingParams(max_pixels=10_000))
    assert raised.value.status == status
    assert str(raised.value).startswith("a.jpg: ")


def test_pixels_of_a_too_large_png_are_not_decoded() -> None:
    content = encoded(Image.new("1", (400, 300)), "PNG")
    with pytest.raises(UndecodableError) as raised, open_image(content[:50], "a.png", DecodingParams(max_pixels=100)):
        pass
    assert (raised.value.status, raised.value.size) == ("too_large", (400, 300))


def test_a_too_large_image_has_its_upright_size_in_the_error() -> None:
    with (
        pytest.raises(UndecodableError) as raised,
        open_image(rotated(80, 40), "a.jpg", DecodingParams(max_pixels=100)),
    ):
        pass
    assert raised.value.size == (40, 80)


@pytest.mark.parametrize("error", [AttributeError, RuntimeError, OverflowError, KeyError])
def test_any_exception_of_the_decoder_is_an_undecodable_image(error: type[Exception]) -> None:
    with pytest.raises(UndecodableError, match=r"a\.jpg: the image cannot be decoded"), open_image(JPEG, "a.jpg"):
        raise error("damaged metadata")


def test_a_changed_or_missing_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    with pytest.raises(InputError, match="cannot be read"):
        read_image(path, "0" * 64)
    path.write_bytes(JPEG)
    with pytest.raises(InputError, match="has changed since ingest"):
        read_image(path, "0" * 64)


def test_a_long_image_is_rejected_before_and_after_resizing() -> None:
    content = encoded(Image.new("1", (1, 300)), "PNG")
    with pytest.raises(UndecodableError, match="expected an aspect ratio of at most 200") as raised:
        decode_image(content, "a.png")
    assert (raised.value.status, raised.value.size) == ("too_large", (1, 300))
    limits = DecodingParams(max_aspect_ratio=1000, max_pixels=1_000_000)
    assert decode_image(content, "a.png", 32, limits=limits).size == (1, 300)
    with pytest.raises(UndecodableError, match="Resized to a shorter side of 64, it has 1,228,800 pixels"):
        decode_image(content, "a.png", 64, limits=limits)


def test_thumbnails_of_long_images_are_not_rejected(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encoded(Image.new("1", (4, 4000)), "PNG"))
    assert open_thumbnail(tmp_path / "a.png", 100).size == (1, 100)


def test_a_missing_plugin_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_name: str) -> None:
        raise ImportError(name="pi_heif")

    monkeypatch.setattr("kadr.io.image_openers.register_format", missing)
    with pytest.raises(UndecodableError, match=r"needs the package pi_heif.*pip install pi-heif"):
        decode_image(JPEG, "a.heic")
