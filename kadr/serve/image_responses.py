"""The serve part's pictures: photos and thumbnails of the index, and the check of an uploaded photo."""

import io
from enum import IntEnum
from functools import lru_cache

from PIL import Image

from kadr.errors import InputError
from kadr.io.image_decoding import FORMATS, decode
from kadr.io.storage import read_bytes
from kadr.io.thumbnails import open_thumbnail

SHOWN = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "GIF": "image/gif", "AVIF": "image/avif"}
"""Formats that browsers show as they are."""

_QUALITY = 82
_KEPT = 2000  # thumbnails of some 20 KB each


class Side(IntEnum):
    """Pixels of a thumbnail's longer side."""

    SMALL = 320
    LARGE = 640


def photo_content(path: str) -> tuple[bytes, str]:
    """The file's bytes and media type; what browsers do not show becomes a JPEG. Raises InputError."""
    try:
        content = read_bytes(path)
    except OSError as error:
        raise InputError(f"the photo's file cannot be read any more ({error.strerror}); index it again") from error
    kind = _format(content)
    return (content, SHOWN[kind]) if kind in SHOWN else (_jpeg(decode(content, path)), "image/jpeg")


@lru_cache(maxsize=_KEPT)
def thumbnail_content(path: str, side: int, version: str) -> bytes:
    """The photo as a small JPEG; `version` tells one content of the file from the next. Raises InputError."""
    return _jpeg(open_thumbnail(path, side))


def check_upload(content: bytes, max_pixels: int) -> None:
    """Raise InputError unless `content` begins as a photo of a format and size that may be decoded."""
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as photo:
            width, height = photo.size
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"the upload is no photo that can be read; send one of {', '.join(FORMATS)}") from error
    if width * height > max_pixels:
        raise InputError(f"the photo has {width} x {height} pixels; send one of at most {max_pixels:,}")


def _format(content: bytes) -> str:
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as photo:
            return str(photo.format)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError("the photo's file is no photo any more; index it again") from error


def _jpeg(photo: Image.Image) -> bytes:
    content = io.BytesIO()
    photo.save(content, "JPEG", quality=_QUALITY)
    return content.getvalue()
