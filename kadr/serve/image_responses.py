"""Prepare images for HTTP responses, render thumbnails, and check uploaded images."""

import hashlib
import io
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from pathlib import Path
from threading import BoundedSemaphore

from PIL import Image

from kadr.errors import InputError
from kadr.io.image_decoding import KNOWN_IMAGE_LIMITS, open_image
from kadr.io.image_formats import PREFIX_LENGTH, detect_format
from kadr.io.storage import read_bytes
from kadr.io.thumbnails import draw_placeholder, make_thumbnail
from kadr.io.untrusted_images import check_untrusted
from kadr.params import DecodingParams
from kadr.serve.thumbnail_cache import ThumbnailCache

UPLOAD_NAME = "uploaded file"
"""Name of an uploaded image in error messages."""

MEDIA_TYPES = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "GIF": "image/gif", "AVIF": "image/avif"}
"""Media types of the image formats that browsers can display."""

_JPEG_QUALITY = 82
_WEBP_QUALITY, _WEBP_METHOD = 78, 2  # 3 ms for 320 pixels; a third smaller than JPEG. AVIF takes 10 times as long
_UNREDUCED_FORMATS = ("PNG", "WEBP", "GIF", "BMP")
_UNREDUCED_DIVISOR = 2
_N_KNOWN_HASHES = 10_000

_decoding_slots = BoundedSemaphore(2)  # a decoded image can occupy hundreds of MB


class ThumbnailSide(IntEnum):
    """Length of the longer side of a thumbnail in pixels."""

    TINY = 160
    SMALL = 320
    LARGE = 640
    HUGE = 1280


@dataclass(frozen=True)
class ImageContent:
    """An image for a response.

    Attributes:
        content: bytes of the image, or the path of a local file that contains these bytes.
        media_type: media type of the image.
        is_indexed: whether the image file has the content that was indexed. Otherwise the file has changed, or its
            hash is unknown.
    """

    content: bytes | Path
    media_type: str
    is_indexed: bool


def load_image(path: str, sha256: str | None) -> ImageContent:
    """Return an image file in a format that browsers can display.

    Args:
        path: path or URI of the image file.
        sha256: SHA-256 of the image file in the index.

    Returns:
        The image. Formats that browsers cannot display are converted to JPEG.

    Raises:
        InputError: the file cannot be read or is not an image.
    """
    local = Path(path)
    try:
        if "://" not in path and (media_type := MEDIA_TYPES.get(_read_format(local) or "")):
            return ImageContent(local, media_type, _hash_file(local) == sha256)
        content = read_bytes(path)
    except OSError as error:
        raise _unreadable(path, error) from error
    is_indexed = hashlib.sha256(content).hexdigest() == sha256
    with _decoding_slots, open_image(content, path, KNOWN_IMAGE_LIMITS) as image:
        media_type = MEDIA_TYPES.get(image.format, "")
        displayed = content if media_type else _encode(image.load_rgb(), "JPEG")
    return ImageContent(displayed, media_type or "image/jpeg", is_indexed)


def load_original(path: str, sha256: str | None) -> ImageContent:
    """Return an image file as it is.

    Args:
        path: path or URI of the image file.
        sha256: SHA-256 of the image file in the index.

    Raises:
        InputError: the file cannot be read.
    """
    local = Path(path)
    try:
        if "://" not in path:
            media_type = MEDIA_TYPES.get(_read_format(local) or "", "application/octet-stream")
            return ImageContent(local, media_type, _hash_file(local) == sha256)
        content = read_bytes(path)
    except OSError as error:
        raise _unreadable(path, error) from error
    return ImageContent(content, "application/octet-stream", hashlib.sha256(content).hexdigest() == sha256)


def load_thumbnail(path: str, side: int, sha256: str | None, cache: ThumbnailCache, *, webp: bool) -> ImageContent:
    """Return a thumbnail as a WebP or JPEG file.

    Args:
        path: path or URI of the image file.
        side: length of the longer side of the thumbnail in pixels.
        sha256: SHA-256 of the image file in the index. None for an image that exists only as a vector, which gets a
            placeholder.
        cache: thumbnails on disk.
        webp: whether the client accepts WebP.

    Raises:
        InputError: the file cannot be read or decoded.
    """
    image_format = "WEBP" if webp else "JPEG"
    media_type = MEDIA_TYPES[image_format]
    if sha256 is None:
        return ImageContent(_encode(draw_placeholder(side), image_format), media_type, is_indexed=False)
    name = f"{sha256}-{side}.{image_format.lower()}"
    if (stored := cache.read(name)) is not None:
        return ImageContent(stored, media_type, is_indexed=True)
    try:
        content = read_bytes(path)
    except OSError as error:
        raise _unreadable(path, error) from error
    with _decoding_slots:
        thumbnail = _encode(make_thumbnail(content, path, side), image_format)
    is_indexed = hashlib.sha256(content).hexdigest() == sha256
    if is_indexed:
        cache.write(name, thumbnail)
    return ImageContent(thumbnail, media_type, is_indexed)


def check_upload(content: bytes, max_pixels: int) -> None:
    """Check the format and the dimensions of an uploaded image, without decoding its pixels.

    A JPEG can be reduced while it is decoded, and some formats are decoded in another process. For all other formats,
    the server needs memory for all pixels, so that their limit is lower.

    Args:
        content: bytes of the uploaded file.
        max_pixels: maximum number of pixels (width times height).

    Raises:
        UndecodableError: the image format is not accepted, or the image has too many pixels.
    """
    needs_all_pixels = detect_format(content) in _UNREDUCED_FORMATS
    limit = max_pixels // _UNREDUCED_DIVISOR if needs_all_pixels else max_pixels
    check_untrusted(content, UPLOAD_NAME, DecodingParams(max_pixels=limit))


def _read_format(path: Path) -> str | None:
    with path.open("rb") as file:
        return detect_format(file.read(PREFIX_LENGTH))


def _hash_file(path: Path) -> str:
    status = path.stat()
    return _hash_version(path, status.st_ino, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=_N_KNOWN_HASHES)
def _hash_version(path: Path, _inode: int, _size: int, _modified: int) -> str:
    """Return the SHA-256 of a version of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _encode(image: Image.Image, image_format: str) -> bytes:
    content = io.BytesIO()
    if image_format == "WEBP":
        image.save(content, "WEBP", quality=_WEBP_QUALITY, method=_WEBP_METHOD)
    else:
        image.save(content, "JPEG", quality=_JPEG_QUALITY)
    return content.getvalue()


def _unreadable(path: str, error: OSError) -> InputError:
    reason = error.strerror or error
    return InputError(f"{path}: the image file cannot be read ({reason}). Restore the file, or rebuild the index.")
