"""Decode image files with the same checks of format and size everywhere.

`open_image` checks the format and the size of a file, `decode_image` also decodes its pixels. Both raise
`UndecodableError`, whatever the decoder raises.
"""

import hashlib
import io
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from kadr.errors import ImageProblem, InputError, KadrError, UndecodableError
from kadr.io.storage import Location, read_bytes

IMAGE_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
"""Accepted file formats. Pillow starts another program for some of its other formats."""

MAX_PIXELS = 178_956_970
"""Pillow's own limit, which applies even if `max_pixels` is larger."""

JPEG_OVERSAMPLING = 3
"""A JPEG may be decoded at 1/2, 1/4 or 1/8 of its size if its sides stay this many times the requested side.

On photo mosaics, the cosine to the full-size embedding is above 0.9997 with 3, and as low as 0.997 with 2.
"""

_SIDEWAYS = (5, 6, 7, 8)
"""EXIF orientations that swap width and height."""


@contextmanager
def open_image(content: bytes | BinaryIO, path: Location, max_pixels: int = MAX_PIXELS) -> Iterator[Image.Image]:
    """Open an image file and check its format and size. Pixels are decoded when the block loads them.

    Every exception that the block raises becomes an UndecodableError, because Pillow raises exceptions of any type for
    damaged pixels and damaged metadata. A KadrError stays as it is.

    Args:
        content: bytes of the file, or a binary file open for reading.
        path: name of the file in error messages.
        max_pixels: maximum width times height.

    Yields:
        The image as stored: neither rotated nor converted.

    Raises:
        UndecodableError: the file is empty, has an unknown format, has too many pixels or is damaged.
    """
    file = io.BytesIO(content) if isinstance(content, bytes) else content
    try:
        if not file.read(1):
            raise UndecodableError(f"{path}: the image file is empty. Replace or remove it.", "empty_file")
        file.seek(0)
        with Image.open(file, formats=IMAGE_FORMATS) as image:
            if math.prod(image.size) > max_pixels:
                raise UndecodableError(
                    f"{path}: the image has {image.width} x {image.height} pixels, expected at most {max_pixels:,} in "
                    "total. Scale it down.",
                    "too_large",
                    _header_size(image),
                )
            yield image
    except KadrError:
        raise
    except Image.DecompressionBombError as error:
        message = f"{path}: the image has too many pixels ({error}). Scale it down."
        raise UndecodableError(message, "too_large") from error
    except UnidentifiedImageError as error:
        formats = ", ".join(IMAGE_FORMATS)
        message = f"{path}: the file is not an image in a supported format. Use one of {formats}."
        raise UndecodableError(message, "not_an_image") from error
    except Exception as error:
        status: ImageProblem = "truncated" if "truncated" in str(error).lower() else "broken"
        message = f"{path}: the image cannot be decoded ({error}). Replace or remove the file."
        raise UndecodableError(message, status) from error


def decode_image(
    content: bytes,
    path: Location,
    side: int | None = None,
    *,
    oversampling: int = JPEG_OVERSAMPLING,
    max_pixels: int = MAX_PIXELS,
) -> Image.Image:
    """Decode an image file to an upright RGB image.

    Args:
        content: bytes of the file.
        path: name of the file in error messages.
        side: shorter side in pixels that the caller needs. A much larger JPEG is decoded at a reduced size, which is
            faster. None decodes at full size.
        oversampling: sides of a reduced JPEG are at least this many times `side`.
        max_pixels: maximum width times height.

    Raises:
        UndecodableError: the file is empty, has an unknown format, has too many pixels or is damaged.
    """
    with open_image(content, path, max_pixels) as image:
        if side is not None:
            image.draft("RGB", (oversampling * side, oversampling * side))
        return apply_orientation(image).convert("RGB")


def read_image(path: Location, sha256: str, side: int | None = None) -> Image.Image:
    """Read an image of a table and decode it to an upright RGB image.

    Args:
        path: path or URI of the file.
        sha256: expected SHA-256 of the file.
        side: shorter side in pixels that the caller needs, as in `decode_image`.

    Raises:
        UndecodableError: the image cannot be decoded.
        InputError: the file is missing or has changed.
    """
    return decode_image(read_image_bytes(path, sha256), path, side)


def read_image_bytes(path: Location, sha256: str) -> bytes:
    """Read the file of an image and check its SHA-256.

    Raises:
        InputError: the file is missing or has changed.
    """
    try:
        content = read_bytes(path)
    except OSError as error:
        raise InputError(
            f"{path}: the image cannot be read ({error.strerror or error}). Restore the file, or run `dvc repro` (or "
            "`kadr index`) again."
        ) from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise InputError(
            f"{path}: the image has changed since ingest. Run `dvc repro` (or `kadr index`) to read the new file."
        )
    return content


def is_plain_jpeg(content: bytes, side: int | None) -> bool:
    """Return whether a JPEG decoder without options gives the same pixels as `decode_image`. Only the header is read.

    Such a decoder applies neither the EXIF orientation nor a reduced size.
    """
    try:
        with Image.open(io.BytesIO(content), formats=("JPEG",)) as image:
            full_size = side is None or min(image.size) < 2 * JPEG_OVERSAMPLING * side
            return full_size and image.mode in ("RGB", "L") and image.getexif().get(ExifTags.Base.Orientation, 1) == 1
    except Exception:
        return False


def _header_size(image: Image.Image) -> tuple[int, int]:
    """Return the upright size without decoding pixels. Pillow decodes a PNG to look for EXIF after the pixels."""
    has_exif_in_header = image.format != "PNG" or "exif" in image.info
    return upright_size(image) if has_exif_in_header else image.size


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Return width and height of an open image after its EXIF orientation is applied."""
    width, height = image.size
    return (height, width) if image.getexif().get(ExifTags.Base.Orientation) in _SIDEWAYS else (width, height)


def apply_orientation(image: Image.Image) -> Image.Image:
    """Rotate an image by its EXIF orientation, and scale 16-bit grey to 8 bits, which Pillow would clip."""
    ImageOps.exif_transpose(image, in_place=True)
    if not image.mode.startswith("I"):
        return image
    values = np.asarray(image).astype(np.float32) / 257
    return Image.fromarray(np.clip(np.round(values), 0, 255).astype(np.uint8))
