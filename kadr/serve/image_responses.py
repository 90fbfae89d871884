"""Content of image responses: image files, thumbnails, and the check of uploaded images."""

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
"""Media types of the formats that browsers display."""

_JPEG_QUALITY = 82
_N_CACHED_THUMBNAILS = 2000  # about 20 KB each


class ThumbnailSide(IntEnum):
    """Longer side of a thumbnail in pixels."""

    SMALL = 320
    LARGE = 640


def render_image(path: str) -> tuple[bytes, str]:
    """Return the content of an image file for a browser.

    Args:
        path: path or URI of the file.

    Returns:
        The content and its media type. Formats that browsers cannot display are converted to JPEG.

    Raises:
        InputError: the file cannot be read or is not an image.
    """
    try:
        content = read_bytes(path)
    except OSError as error:
        raise InputError(
            f"The image file cannot be read ({error.strerror}). Restore the file, or index the images again."
        ) from error
    with open_image(content, path) as image:
        media_type = MEDIA_TYPES.get(str(image.format))
    return (content, media_type) if media_type else (_encode_jpeg(decode_image(content, path)), "image/jpeg")


@lru_cache(maxsize=_N_CACHED_THUMBNAILS)
def render_thumbnail(path: str, side: int, sha256: str) -> bytes:
    """Return a thumbnail as a JPEG file. Recent thumbnails are cached.

    Args:
        path: path or URI of the image file.
        side: longer side of the thumbnail in pixels.
        sha256: SHA-256 of the image file, used in the cache key only.

    Returns:
        The content of the JPEG file.

    Raises:
        InputError: the file cannot be read or decoded.
    """
    return _encode_jpeg(open_thumbnail(path, side))


def check_upload(content: bytes, max_pixels: int) -> None:
    """Check the format and the size of an uploaded image by its header, without decoding the pixels.

    Args:
        content: content of the uploaded file.
        max_pixels: maximum width times height.

    Raises:
        UndecodableError: the format is not accepted, or the image is too large.
    """
    with open_image(content, UPLOAD_NAME, max_pixels):
        pass


def _encode_jpeg(image: Image.Image) -> bytes:
    content = io.BytesIO()
    image.save(content, "JPEG", quality=_JPEG_QUALITY)
    return content.getvalue()
