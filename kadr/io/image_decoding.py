"""Open and decode image files.

`open_image` checks the format and the size of an image and separates its metadata from its pixels. `decode_image`
returns the upright RGB image. Both functions convert every exception of the decoder to an `UndecodableError`.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError

from kadr.errors import ImageFileError, ImageProblem, KadrError, UndecodableError
from kadr.io.image_formats import IMAGE_FORMATS, IMAGE_SUFFIXES, PREFIX_LENGTH, detect_format, is_image
from kadr.io.image_openers import check_size, open_format
from kadr.io.opened_image import OpenedImage
from kadr.io.storage import Location, read_bytes
from kadr.params import DecodingParams
from kadr.params.decoding import PILLOW_MAX_PIXELS

__all__ = [
    "DECODER_VERSION",
    "DEFAULT_LIMITS",
    "IMAGE_SUFFIXES",
    "JPEG_OVERSAMPLING",
    "KNOWN_IMAGE_LIMITS",
    "PREFIX_LENGTH",
    "decode_image",
    "is_image",
    "is_plain_jpeg",
    "open_image",
    "read_image",
    "read_image_bytes",
]

DEFAULT_LIMITS = DecodingParams()
"""Default settings of the decoder."""

KNOWN_IMAGE_LIMITS = DecodingParams(max_pixels=PILLOW_MAX_PIXELS, max_megabytes=1e6, max_aspect_ratio=1e6)
"""Limits for thumbnails of images that passed the limits in params.yaml."""

DECODER_VERSION = 2
"""Version of the decoder. It is part of the identity of an image encoder. A change of the pixels increases it."""

JPEG_OVERSAMPLING = 3
"""Minimum side of a JPEG that is decoded at 1/2, 1/4 or 1/8 of its size, as a multiple of the requested side.

The embedding of a reduced image differs from the embedding of the full-size image. On photo mosaics, the cosine between
the two embeddings is above 0.9997 for a multiple of 3, and as low as 0.997 for a multiple of 2.
"""

_MEGABYTE = 1_000_000
_DISTRIBUTIONS = {"pi_heif": "pi-heif", "pillow_jxl": "pillow-jxl-plugin"}


@contextmanager
def open_image(
    content: bytes | BinaryIO, path: Location, limits: DecodingParams = DEFAULT_LIMITS
) -> Iterator[OpenedImage]:
    """Open an image file and check its format and size. Pixels are decoded when the `with` block loads them.

    Exceptions in the `with` block are converted to UndecodableError, because Pillow raises many types of exceptions for
    damaged pixels. A KadrError is raised unchanged.

    Args:
        content: bytes of the file, or a binary file open for reading.
        path: file name for error messages.
        limits: limits on the size of the image.

    Yields:
        The opened image.

    Raises:
        UndecodableError: the file is empty or damaged, has an unsupported format, or exceeds a limit.
    """
    try:
        if not isinstance(content, bytes):
            content = content.read(int(limits.max_megabytes * _MEGABYTE) + 1)
        if not content:
            raise UndecodableError(f"{path}: the image file is empty. Replace or remove it.", "empty_file")
        if len(content) > limits.max_megabytes * _MEGABYTE:
            raise UndecodableError(
                f"{path}: the file has {len(content) / _MEGABYTE:,.0f} MB, expected at most "
                f"{limits.max_megabytes:,.0f}. Scale the image down, or raise decoding.max_megabytes.",
                "too_large",
            )
        image = open_format(content, str(path), limits)
        with image.stored:
            check_size(image.size, str(path), limits)
            yield image
    except KadrError:
        raise
    except Exception as error:
        raise _explain(error, path, limits) from error


def decode_image(
    content: bytes,
    path: Location,
    side: int | None = None,
    *,
    oversampling: int = JPEG_OVERSAMPLING,
    limits: DecodingParams = DEFAULT_LIMITS,
) -> Image.Image:
    """Decode an image file to an upright RGB image.

    Args:
        content: bytes of the file.
        path: file name for error messages.
        side: length of the shorter side in pixels that the caller needs. To save time, a JPEG with a much longer side
            is decoded at a reduced size. None decodes every image at full size.
        oversampling: minimum side of a reduced JPEG, as a multiple of `side`.
        limits: limits on the size of the image, also after its shorter side is resized to `side`.

    Raises:
        UndecodableError: the file is empty or damaged, has an unsupported format, or exceeds a limit.
    """
    with open_image(content, path, limits) as image:
        if side is not None:
            _check_resized(image, side, limits)
            image.reduce("RGB", oversampling * side)
        return image.load_rgb()


def read_image(
    path: Location, sha256: str, side: int | None = None, limits: DecodingParams = DEFAULT_LIMITS
) -> Image.Image:
    """Read an image file, check its SHA-256 and decode it to an upright RGB image.

    Args:
        path: path or URI of the file.
        sha256: expected SHA-256 of the file.
        side: length of the shorter side in pixels that the caller needs, as in `decode_image`.
        limits: limits on the size of the image.

    Raises:
        UndecodableError: the image cannot be decoded.
        ImageFileError: the file cannot be read or has changed.
    """
    return decode_image(read_image_bytes(path, sha256), path, side, limits=limits)


def read_image_bytes(path: Location, sha256: str) -> bytes:
    """Read an image file and check its SHA-256.

    Raises:
        ImageFileError: the file cannot be read or has changed.
    """
    try:
        content = read_bytes(path)
    except OSError as error:
        raise ImageFileError(
            f"{path}: the image cannot be read ({error.strerror or error}). Restore the file, or remove it and run "
            "`dvc repro ingest`.",
            "unreadable",
        ) from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ImageFileError(
            f"{path}: the image has changed since ingest. Run `dvc repro ingest` to read the new file.", "changed"
        )
    return content


def is_plain_jpeg(content: bytes, side: int | None, limits: DecodingParams = DEFAULT_LIMITS) -> bool:
    """Return whether a JPEG decoder without options produces the same pixels as `decode_image`.

    A decoder without options ignores the EXIF orientation and the colour profile, and decodes at full size. Only the
    header is read.
    """
    if detect_format(content) != "JPEG":
        return False
    try:
        with open_image(content, "", limits) as image:
            full_size = side is None or min(image.size) < 2 * JPEG_OVERSAMPLING * side
            if side is not None:
                _check_resized(image, side, limits)
            return full_size and image.is_plain
    except UndecodableError:
        return False


def _check_resized(image: OpenedImage, side: int, limits: DecodingParams) -> None:
    """Raise UndecodableError if the image exceeds the limit on its pixels after its shorter side is resized."""
    width, height = image.size
    n_pixels = side * side * max(image.size) // min(image.size)
    if n_pixels > limits.max_pixels:
        raise UndecodableError(
            f"{image.path}: the image is {width} x {height} pixels. Resized to a shorter side of {side}, it has "
            f"{n_pixels:,} pixels, expected at most {limits.max_pixels:,}. Crop it.",
            "too_large",
            image.size,
        )


def _explain(error: Exception, path: Location, limits: DecodingParams) -> UndecodableError:
    """Return the UndecodableError for an exception of a decoder."""
    if isinstance(error, MemoryError):
        return UndecodableError(
            f"{path}: the image needs more memory than decoding.memory_mb allows ({limits.memory_mb:,} MB). Scale it "
            "down, or raise this limit.",
            "too_large",
        )
    if isinstance(error, Image.DecompressionBombError):
        return UndecodableError(f"{path}: the image has too many pixels ({error}). Scale it down.", "too_large")
    if isinstance(error, UnidentifiedImageError):
        formats = ", ".join(IMAGE_FORMATS)
        return UndecodableError(
            f"{path}: the file is not an image in a supported format. Use one of {formats} or camera raw.",
            "not_an_image",
        )
    if isinstance(error, ImportError):
        return UndecodableError(
            f"{path}: this image format needs the package {error.name}, which is not installed. Install it with `pip "
            f"install {_DISTRIBUTIONS.get(str(error.name), error.name)}`.",
            "not_an_image",
        )
    status: ImageProblem = "truncated" if "truncated" in str(error).lower() else "broken"
    return UndecodableError(f"{path}: the image cannot be decoded ({error}). Replace or remove the file.", status)
