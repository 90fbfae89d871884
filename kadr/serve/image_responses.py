"""Prepare images for HTTP responses, render thumbnails, and check uploaded images."""

import io
from enum import IntEnum
from functools import lru_cache

from PIL import Image

from kadr.errors import InputError
from kadr.io.image_decoding import decode_image, open_image
from kadr.io.storage import read_bytes
from kadr.io.thumbnails import open_thumbnail

UPLOAD_NAME = "uploaded file"
"""Name of an uploaded image in error messages."""

MEDIA_TYPES = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "GIF": "image/gif", "AVIF": "image/avif"}
"""Media types of the image formats that browsers can display."""

_JPEG_QUALITY = 82
_N_CACHED_THUMBNAILS = 2000  # one thumbnail takes about 20 KB


class ThumbnailSide(IntEnum):
    """Length of the longer side of a thumbnail in pixels."""

    SMALL = 320
    LARGE = 640


def render_image(path: str) -> tuple[bytes, str]:
    """Return an image file in a format that browsers can display.

    Args:
        path: path or URI of the image file.

    Returns:
        The bytes of the image file and its media type. Formats that browsers cannot display are converted to JPEG.

    Raises:
        InputError: the file cannot be read or is not an image.
    """
    try:
        content = read_bytes(path)
    except OSError as error:
        raise InputError(
            f"The image file cannot be read ({error.strerror}). Restore the file, or rebuild the index."
        ) from error
    with open_image(content, path) as image:
        media_type = MEDIA_TYPES.get(str(image.format))
    return (content, media_type) if media_type else (_encode_jpeg(decode_image(content, path)), "image/jpeg")


@lru_cache(maxsize=_N_CACHED_THUMBNAILS)
def render_thumbnail(path: str, side: int, sha256: str) -> bytes:
    """Return a thumbnail as a JPEG file. Recently used thumbnails are cached.

    Args:
        path: path or URI of the image file.
        side: length of the longer side of the thumbnail in pixels.
        sha256: SHA-256 of the image file. The hash is part of the cache key, so a changed file
            gets a new thumbnail.

    Returns:
        The bytes of the JPEG file.

    Raises:
        InputError: the file cannot be read or decoded.
    """
    return _encode_jpeg(open_thumbnail(path, side))


def check_upload(content: bytes, max_pixels: int) -> None:
    """Check the format and the dimensions of an uploaded image, without decoding its pixels.

    Args:
        content: bytes of the uploaded file.
        max_pixels: maximum number of pixels (width times height).

    Raises:
        UndecodableError: the image format is not accepted, or the image has too many pixels.
    """
    with open_image(content, UPLOAD_NAME, max_pixels):
        pass


def _encode_jpeg(image: Image.Image) -> bytes:
    content = io.BytesIO()
    image.save(content, "JPEG", quality=_JPEG_QUALITY)
    return content.getvalue()
