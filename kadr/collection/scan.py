"""Scan image files: compute quality measures, read EXIF metadata, and detect files that cannot be used."""

import hashlib
import os
import warnings
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from typing import Any

import pyarrow as pa
from PIL import ExifTags, Image

from kadr.errors import UndecodableError
from kadr.index.colours import dominant_colours
from kadr.io.image_decoding import MAX_PIXELS, apply_orientation, open_image, upright_size
from kadr.io.image_quality import DRAFT_SIZE, measure_image
from kadr.io.schemas import INDEXED_IMAGES
from kadr.io.storage import read_bytes

_FILE_COLUMNS = ("path", "bytes", "modified", "sha256")
_CONTENT_COLUMNS = ("width", "height", "phash", "blur", "exposure", "taken", "latitude", "longitude", "colours")

SCANNED = pa.schema(
    [
        *(INDEXED_IMAGES.field(name) for name in (*_FILE_COLUMNS, *_CONTENT_COLUMNS)),
        pa.field("status", pa.string(), nullable=False),  # ok, or the reason why the image cannot be used
    ]
)
_THREADS = 16

Row = dict[str, Any]


def scan_images(files: Iterable[Row], max_pixels: int = MAX_PIXELS) -> Iterator[Row]:
    """Scan image files in parallel.

    Args:
        files: one dict per file, with the keys path, bytes and modified.
        max_pixels: maximum number of pixels. Larger images get the status too_large.

    Yields:
        One row per file with the columns of SCANNED, in the order of `files`.
    """
    with warnings.catch_warnings(), ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as pool:
        warnings.filterwarnings("ignore", module=r"PIL\.")  # warnings about damaged metadata and large images
        yield from pool.map(partial(scan_image, max_pixels=max_pixels), files)


def scan_image(file: Row, max_pixels: int = MAX_PIXELS) -> Row:
    """Scan one image file, and return a row with the columns of SCANNED."""
    try:
        content = read_bytes(file["path"])
    except OSError:
        return file | {"status": "unreadable"}
    row = file | {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    try:
        return row | _scan_content(content, file["path"], max_pixels) | {"status": "ok"}
    except UndecodableError as error:
        return row | {"status": error.status}


def _scan_content(content: bytes, path: str, max_pixels: int) -> Row:
    with open_image(content, path, max_pixels) as image:
        width, height = upright_size(image)
        exif = image.getexif()
        image.draft("RGB", DRAFT_SIZE)
        image.load()
        quality = vars(measure_image(image))
        colours = dominant_colours(apply_orientation(image))
        return {"width": width, "height": height, "colours": colours, **quality, **_read_exif(exif)}


def _read_exif(exif: Image.Exif) -> Row:
    """Return the capture time and GPS coordinates from EXIF metadata. Missing or invalid values are None."""
    details, place = exif.get_ifd(ExifTags.IFD.Exif), exif.get_ifd(ExifTags.IFD.GPSInfo)
    taken = details.get(ExifTags.Base.DateTimeOriginal) or exif.get(ExifTags.Base.DateTime)
    return {
        "taken": _parse_time(taken),
        "latitude": _parse_degrees(place, ExifTags.GPS.GPSLatitude, ExifTags.GPS.GPSLatitudeRef, "S", 90),
        "longitude": _parse_degrees(place, ExifTags.GPS.GPSLongitude, ExifTags.GPS.GPSLongitudeRef, "W", 180),
    }


def _parse_time(text: object) -> datetime | None:
    try:
        return datetime.strptime(str(text).strip("\x00 "), "%Y:%m:%d %H:%M:%S")
    except ValueError:
        return None


def _parse_degrees(
    place: Row | dict[int, Any], tag: int, reference_tag: int, negative: str, maximum: float
) -> float | None:
    try:
        degrees, minutes, seconds = (float(part) for part in place[tag])  # type: ignore[index]
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    value = degrees + minutes / 60 + seconds / 3600
    signed = -value if str(place.get(reference_tag)) == negative else value  # type: ignore[call-overload]
    return round(signed, 6) if -maximum <= signed <= maximum else None
