"""Check and decode image files.

`open_image` checks the format and the size of an image. `decode_image` also decodes the pixels. Both functions convert
every exception of the decoder to an `UndecodableError`.
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
"""Accepted file formats. For some other formats, Pillow runs external programs."""

MAX_PIXELS = 178_956_970
"""Maximum number of pixels that Pillow accepts. A larger `max_pixels` has no effect."""

JPEG_OVERSAMPLING = 3
"""Minimum side of a JPEG that is decoded at 1/2, 1/4 or 1/8 of its size, as a multiple of the requested side.

The embedding of a reduced image differs from the embedding of the full-size image. On photo mosaics, the cosine between
the two embeddings is above 0.9997 for a multiple of 3, and as low as 0.997 for a multiple of 2.
"""

_SIDEWAYS = (5, 6, 7, 8)
"""EXIF orientations that swap width and height."""


@contextmanager
def open_image(content: bytes | BinaryIO, path: Location, max_pixels: int = MAX_PIXELS) -> Iterator[Image.Image]:
    """Open an image file and check its format and size. Pixels are decoded when the `with` block accesses them.

    Exceptions in the `with` block are converted to UndecodableError, because Pillow raises many types of exceptions for
    damaged pixels and damaged metadata. A KadrError is raised unchanged.

    Args:
        content: bytes of the file, or a binary file open for reading.
        path: file name for error messages.
        max_pixels: maximum number of pixels (width times height).

    Yields:
        The image as stored in the file, neither rotated nor converted.

    Raises:
        UndecodableError: the file is empty or damaged, has an unsupported format, or has too many pixels.
    """
    file = io.BytesIO(content) if isinstance(content, bytes) else content
    try:
        if not file.read(1):
            raise UndecodableError(f"{path}: the image file is empty. Replace or remove it.", "empty_file")
        file.seek(0)
        with Image.open(file, formats=IMAGE_FORMATS) as image:
            if math.prod(image.size) > max_pixels:
                raise UndecodableError(
                    f"{path}: the image has {math.prod(image.size):,} pixels ({image.width} x {image.height}), "
                    f"expected at most {max_pixels:,}. Scale it down.",
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
        path: file name for error messages.
        side: length of the shorter side in pixels that the caller needs. To save time, a JPEG with a much longer side
            is decoded at a reduced size. None decodes every image at full size.
        oversampling: minimum side of a reduced JPEG, as a multiple of `side`.
        max_pixels: maximum number of pixels (width times height).

    Raises:
        UndecodableError: the file is empty or damaged, has an unsupported format, or has too many pixels.
    """
    with open_image(content, path, max_pixels) as image:
        if side is not None:
            image.draft("RGB", (oversampling * side, oversampling * side))
        return apply_orientation(image).convert("RGB")


def read_image(path: Location, sha256: str, side: int | None = None) -> Image.Image:
    """Read an image file, check its SHA-256 and decode it to an upright RGB image.

    Args:
        path: path or URI of the file.
        sha256: expected SHA-256 of the file.
        side: length of the shorter side in pixels that the caller needs, as in `decode_image`.

    Raises:
        UndecodableError: the image cannot be decoded.
        InputError: the file cannot be read or has changed.
    """
    return decode_image(read_image_bytes(path, sha256), path, side)


def read_image_bytes(path: Location, sha256: str) -> bytes:
    """Read an image file and check its SHA-256.

    Raises:
        InputError: the file cannot be read or has changed.
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
    """Return whether a JPEG decoder without options produces the same pixels as `decode_image`.

    A decoder without options ignores the EXIF orientation and decodes at full size. Only the header is read.
    """
    try:
        with Image.open(io.BytesIO(content), formats=("JPEG",)) as image:
            full_size = side is None or min(image.size) < 2 * JPEG_OVERSAMPLING * side
            return full_size and image.mode in ("RGB", "L") and image.getexif().get(ExifTags.Base.Orientation, 1) == 1
    except Exception:
        return False


def _header_size(image: Image.Image) -> tuple[int, int]:
    """Return the upright width and height without decoding the pixels.

    EXIF data that follows the pixels of a PNG is ignored, because Pillow would have to decode the pixels to read it.
    """
    has_exif_in_header = image.format != "PNG" or "exif" in image.info
    return upright_size(image) if has_exif_in_header else image.size


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Return the upright width and height of an open image, based on its EXIF orientation."""
    width, height = image.size
    return (height, width) if image.getexif().get(ExifTags.Base.Orientation) in _SIDEWAYS else (width, height)


def apply_orientation(image: Image.Image) -> Image.Image:
    """Apply the EXIF orientation of an image. Scale 16-bit grey values to 8 bits, because Pillow would clip them."""
    ImageOps.exif_transpose(image, in_place=True)
    if not image.mode.startswith("I"):
        return image
    values = np.asarray(image).astype(np.float32) / 257
    return Image.fromarray(np.clip(np.round(values), 0, 255).astype(np.uint8))
