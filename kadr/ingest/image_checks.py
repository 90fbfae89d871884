"""The ingest part's photos: each file read once, hashed, decoded whole and given a status."""

import hashlib
import math
import os
import struct
import warnings
import zlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError

from kadr.errors import InputError
from kadr.io.image_decoding import FORMATS
from kadr.io.image_quality import SIDE, look_at
from kadr.progress import progress

LOOKED_AT = (SIDE, SIDE)  # a JPEG is decoded no larger than needed to look at it; all of its bytes are read even so
_SIDEWAYS = (5, 6, 7, 8)
_ORIENTATION = 0x0112
_UNDECODABLE = (
    *(OSError, SyntaxError, ValueError, TypeError, IndexError, KeyError, EOFError, OverflowError),
    *(struct.error, zlib.error),
)


@dataclass(frozen=True)
class Photo:
    """A row of the table IMAGES: a photo, and `ok` or the reason why it is set aside."""

    image_id: str
    path: str
    split: str
    sha256: str | None = None
    bytes: int | None = None
    width: int | None = None
    height: int | None = None
    phash: str | None = None
    blur: float | None = None
    exposure: float | None = None
    status: str = "missing"


def list_photos(source: str, folder: str, split: str) -> list[Photo]:
    """The files of a folder as unchecked photos, sorted by name; hidden files are no photos.

    Raises:
        InputError: where the folder is missing or empty.
    """
    path = Path(source) / folder
    if not path.is_dir():
        raise InputError(
            f"{path}: no such folder, wanted the {split} photos; put them there, or mend ingest.source and its form"
        )
    names = sorted(file.name for file in path.iterdir() if not file.name.startswith("."))
    if not names:
        raise InputError(f"{path}: no photos, wanted the {split} photos; put them there")
    return absent_photos(source, folder, split, names)


def absent_photos(source: str, folder: str, split: str, names: Iterable[str]) -> list[Photo]:
    """Photos of these names with the status missing."""
    return [Photo(name, str(PurePosixPath(source, folder, name)), split) for name in names]


def check_photos(photos: Sequence[Photo], max_pixels: int) -> list[Photo]:
    """Read, hash and decode every photo, in threads; the order stays.

    Args:
        photos: as `list_photos` gives them.
        max_pixels: a photo with more is not decoded.

    Returns:
        The photos with sizes, hashes and status: ok, unreadable, empty_file, not_an_image, too_large, truncated or
        broken.
    """
    checked = []
    with (
        warnings.catch_warnings(),
        progress("check photos", len(photos)) as advance,
        ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        warnings.filterwarnings(
            "ignore", module=r"PIL\."
        )  # says of odd metadata and large photos; the status says the rest
        for photo in pool.map(lambda photo: _check(photo, max_pixels), photos):
            checked.append(photo)
            advance(1)
    return checked


def _check(photo: Photo, max_pixels: int) -> Photo:
    try:
        with Path(photo.path).open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            photo = replace(photo, sha256=sha256, bytes=file.tell())
            file.seek(0)
            return _decode(photo, file, max_pixels) if photo.bytes else replace(photo, status="empty_file")
    except OSError:
        return replace(photo, status="unreadable")


def _decode(photo: Photo, file: BinaryIO, max_pixels: int) -> Photo:
    """The photo with what its content says; sizes and hash are of the photo turned upright."""
    try:
        with Image.open(file, formats=FORMATS) as image:
            width, height = image.size
            if image.getexif().get(_ORIENTATION) in _SIDEWAYS:
                width, height = height, width
            photo = replace(photo, width=width, height=height)
            if math.prod(image.size) > max_pixels:
                return replace(photo, status="too_large")
            image.draft("L", LOOKED_AT)
            image.load()
            pixels = look_at(image)
            return replace(photo, **vars(pixels), status="ok")
    except Image.DecompressionBombError:
        return replace(photo, status="too_large")
    except UnidentifiedImageError:
        return replace(photo, status="not_an_image")
    except _UNDECODABLE as error:
        return replace(photo, status="truncated" if "truncated" in str(error).lower() else "broken")
