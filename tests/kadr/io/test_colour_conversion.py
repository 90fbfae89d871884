"""Tests of the conversion to RGB: transparency, deep pixels, colour spaces and colour profiles."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from kadr.io.colour_conversion import scale_to_8_bits, to_rgb
from kadr.io.image_decoding import decode_image
from kadr.params import DecodingParams

WHITE, RED = (255, 255, 255), (255, 0, 0)


def encoded(image: Image.Image, file_format: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def black_dot(mode: str) -> Image.Image:
    """Return a transparent image with a black opaque pixel at the top left."""
    image = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    image.putpixel((0, 0), (0, 0, 0, 255))
    return image if mode == "RGBA" else image.convert(mode)


def transparent_palette() -> bytes:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 10, 10, 10])
    image.putpixel((0, 0), 0)
    return encoded(image, "PNG", transparency=1)


def transparent_grey(mode: str, clear: int) -> bytes:
    image = Image.new(mode, (4, 4), clear)
    image.putpixel((0, 0), 0)
    return encoded(image, "PNG", transparency=clear)


@pytest.mark.parametrize(
    "content",
    [
        encoded(black_dot("RGBA"), "PNG"),
        encoded(black_dot("LA"), "PNG"),
        encoded(black_dot("RGBA"), "WEBP", lossless=True),
        encoded(black_dot("RGBA"), "TIFF"),
        transparent_palette(),
        transparent_grey("L", 9),
        transparent_grey("I;16", 9),
    ],
    ids=["RGBA", "LA", "WebP", "TIFF", "palette", "grey", "16-bit grey"],
)
def test_transparent_pixels_show_the_background(content: bytes) -> None:
    for name, colour in (("white", WHITE), ("#ff0000", RED)):
        image = decode_image(content, "a.png", limits=DecodingParams(background=name))
        assert (image.getpixel((0, 0)), image.getpixel((3, 3))) == ((0, 0, 0), colour)


def test_partly_transparent_pixels_are_blended() -> None:
    image = to_rgb(Image.new("RGBA", (1, 1), (0, 0, 0, 51)), WHITE)
    assert image.getpixel((0, 0)) == (204, 204, 204)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0, 257, 65535]], np.uint16), [0, 1, 255]),
        (np.array([[0, 0.5, 1]], np.float32), [0, 128, 255]),
        (np.array([[0, 128, 255]], np.float32), [0, 128, 255]),
        (np.array([[-1, 0, 1]], np.float32), [0, 128, 255]),
        (np.array([[0, np.nan, np.inf, 1]], np.float32), [0, 0, 0, 255]),
        (np.array([[0, 100, 255]], np.int32), [0, 100, 255]),
        (np.array([[0, 65535]], np.int32), [0, 255]),
        (np.array([[5, 5]], np.int32), [5, 5]),
        (np.array([[7, 9]], np.uint8), [7, 9]),
    ],
)
def test_deep_values_are_scaled(values: np.ndarray, expected: list[int]) -> None:
    assert scale_to_8_bits(values).tolist() == [expected]


@pytest.mark.parametrize("values", [np.linspace(0, 1, 64), np.linspace(0, 255, 64)])
def test_a_float_tiff_is_not_black(values: np.ndarray) -> None:
    grey = values.reshape(8, 8).astype(np.float32)
    image = decode_image(encoded(Image.fromarray(grey), "TIFF"), "a.tif")
    assert image.getextrema() == ((0, 255),) * 3


def test_a_16_bit_tiff_with_inverted_values_is_shown_upright() -> None:
    content = encoded(Image.fromarray(np.array([[0, 65535]], np.uint16)), "TIFF", tiffinfo={262: 0})
    image = decode_image(content, "a.tif")
    assert (image.getpixel((0, 0)), image.getpixel((1, 0))) == (WHITE, (0, 0, 0))


@pytest.mark.parametrize("scale", [np.float32(1 / 255), np.float32(1)])
def test_a_float_rgb_tiff_keeps_its_colours(scale: np.float32) -> None:
    rgb = np.array([[[255, 0, 0], [0, 128, 255]]], np.float32) * scale
    _, content = cv2.imencode(".tif", rgb[:, :, ::-1])
    image = decode_image(content.tobytes(), "a.tif")
    assert [image.getpixel((x, 0)) for x in (0, 1)] == [RED, (0, 128, 255)]


@pytest.mark.parametrize("mode", ["1", "L", "P", "YCbCr", "CMYK", "LAB"])
def test_white_and_black_keep_their_values_in_every_mode(mode: str) -> None:
    image = Image.new("RGB", (16, 8), WHITE)
    image.paste((0, 0, 0), (8, 0, 16, 8))
    if mode == "LAB":
        profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        converted = ImageCms.profileToProfile(image, *profiles, outputMode="LAB")
        assert converted is not None
    else:
        converted = image.convert(mode)
    decoded = decode_image(encoded(converted, "TIFF"), "a.tif")
    assert decoded.getpixel((0, 4)) == pytest.approx(WHITE, abs=1)
    assert decoded.getpixel((15, 4)) == pytest.approx((0, 0, 0), abs=1)


def test_a_cmyk_jpeg_keeps_its_colours() -> None:
    content = encoded(Image.new("RGB", (16, 16), (200, 40, 40)).convert("CMYK"), "JPEG", quality=100)
    assert decode_image(content, "a.jpg").getpixel((8, 8)) == pytest.approx((200, 40, 40), abs=4)


def wide_gamut_profile() -> bytes:
    """Return a valid profile whose red and green are swapped, which is sRGB otherwise."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile = bytearray(bytes(profile).replace(b"rXYZ", b"tmp.").replace(b"gXYZ", b"rXYZ").replace(b"tmp.", b"gXYZ"))
    return bytes(profile)


def test_colours_are_converted_by_a_valid_profile() -> None:
    red = Image.new("RGB", (16, 16), RED)
    swapped = decode_image(encoded(red, "PNG", icc_profile=wide_gamut_profile()), "a.png")
    assert swapped.getpixel((8, 8)) == pytest.approx((0, 255, 0), abs=2)
    same = decode_image(
        encoded(red, "PNG", icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()), "a.png"
    )
    assert same.getpixel((8, 8)) == RED


@pytest.mark.parametrize("profile", [b"no profile", wide_gamut_profile()[:200]])
def test_an_invalid_profile_is_ignored(profile: bytes) -> None:
    for mode, file_format in (("RGB", "PNG"), ("RGB", "JPEG"), ("L", "PNG")):
        content = encoded(Image.new(mode, (16, 16), 70 if mode == "L" else RED), file_format, icc_profile=profile)
        plain = encoded(Image.new(mode, (16, 16), 70 if mode == "L" else RED), file_format)
        assert decode_image(content, "a").tobytes() == decode_image(plain, "a").tobytes()


def test_a_profile_for_another_colour_space_is_ignored() -> None:
    content = encoded(Image.new("L", (16, 16), 70), "JPEG", icc_profile=wide_gamut_profile())
    assert decode_image(content, "a.jpg").getpixel((8, 8)) == (70, 70, 70)
