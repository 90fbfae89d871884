"""The collection's look at a photo: what its pixels and its EXIF say, or why it is set aside."""

import hashlib
import io
import os
import struct
import warnings
import zlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import pyarrow as pa
from PIL import ExifTags, Image, UnidentifiedImageError

from kadr.index.colours import colours_of
from kadr.ingest.image_checks import LOOKED_AT
from kadr.io.image_decoding import FORMATS, upright
from kadr.io.image_quality import look_at
from kadr.io.schemas import INDEXED
from kadr.io.storage import read_bytes

LOOKED = pa.schema(
    [
        *(INDEXED.field(name) for name in ("path", "bytes", "modified", "sha256", "width", "height", "phash", "blur")),
        *(INDEXED.field(name) for name in ("exposure", "taken", "latitude", "longitude", "colours")),
        pa.field("status", pa.string(), nullable=False),  # ok, or the reason why the photo is set aside
    ]
)
_THREADS = 16
_UNDECODABLE = (
    *(OSError, SyntaxError, ValueError, TypeError, IndexError, KeyError, EOFError, OverflowError),
    *(struct.error, zlib.error, ZeroDivisionError),
)

Row = dict[str, Any]


def look_at_all(files: Iterable[Row]) -> Iterator[Row]:
    """Rows of schema LOOKED for `files` (path, bytes, modified), in their order; photos are read in threads."""
    with warnings.catch_warnings(), ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as pool:
        warnings.filterwarnings("ignore", module=r"PIL\.")  # of odd metadata and large photos
        yield from pool.map(look, files)


def look(file: Row) -> Row:
    """The row of schema LOOKED of one file."""
    try:
        content = read_bytes(file["path"])
    except OSError:
        return file | {"status": "unreadable"}
    seen = file | {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    try:
        return seen | _look(content) if content else seen | {"status": "empty_file"}
    except UnidentifiedImageError:
        return seen | {"status": "not_an_image"}
    except Image.DecompressionBombError:
        return seen | {"status": "too_large"}
    except _UNDECODABLE as error:
        return seen | {"status": "truncated" if "truncated" in str(error).lower() else "broken"}


def _look(content: bytes) -> Row:
    with Image.open(io.BytesIO(content), formats=FORMATS) as photo:
        exif = photo.getexif()
        size = photo.size if exif.get(ExifTags.Base.Orientation) not in (5, 6, 7, 8) else photo.size[::-1]
        photo.draft("RGB", LOOKED_AT)
        photo.load()
        pixels = vars(look_at(photo))
        colours = colours_of(upright(photo))
    return {"width": size[0], "height": size[1], "colours": colours, "status": "ok", **pixels, **_place_and_time(exif)}


def _place_and_time(exif: Image.Exif) -> Row:
    """When and where the photo was taken, None where EXIF does not say or says nonsense."""
    details, place = exif.get_ifd(ExifTags.IFD.Exif), exif.get_ifd(ExifTags.IFD.GPSInfo)
    taken = details.get(ExifTags.Base.DateTimeOriginal) or exif.get(ExifTags.Base.DateTime)
    return {
        "taken": _time(taken),
        "latitude": _degrees(place, ExifTags.GPS.GPSLatitude, ExifTags.GPS.GPSLatitudeRef, "S", 90),
        "longitude": _degrees(place, ExifTags.GPS.GPSLongitude, ExifTags.GPS.GPSLongitudeRef, "W", 180),
    }


def _time(text: object) -> datetime | None:
    try:
        return datetime.strptime(str(text).strip("\x00 "), "%Y:%m:%d %H:%M:%S")
    except ValueError:
        return None


def _degrees(place: Row | dict[int, Any], tag: int, side: int, negative: str, most: float) -> float | None:
    try:
        degrees, minutes, seconds = (float(part) for part in place[tag])  # type: ignore[index]
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    value = degrees + minutes / 60 + seconds / 3600
    signed = -value if str(place.get(side)) == negative else value  # type: ignore[call-overload]
    return round(signed, 6) if -most <= signed <= most else None
