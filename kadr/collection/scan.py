"""Scan image files: compute quality measures, read metadata, and detect files that cannot be used."""

import logging
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa
from PIL import ExifTags, Image

from kadr.collection.capture_time import read_capture_time, read_ifd
from kadr.collection.description import read_camera, read_description
from kadr.collection.listing import is_local
from kadr.embed.reader import map_in_threads
from kadr.index.colours import dominant_colours
from kadr.io.bounded_decoding import FailedScan, prepare_workers, scan_bounded
from kadr.io.image_decoding import DEFAULT_LIMITS
from kadr.io.image_scan import FaultCounts, ImageScan, scan_content, scan_file
from kadr.io.opened_image import OpenedImage
from kadr.io.schemas import INDEXED_IMAGES
from kadr.io.storage import read_bytes
from kadr.params import DecodingParams

_FILE_COLUMNS = ("path", "bytes", "modified", "sha256")
_CONTENT_COLUMNS = (
    "width",
    "height",
    "phash",
    "signature",
    "blur",
    "exposure",
    "taken",
    "taken_source",
    "latitude",
    "longitude",
    "colours",
    "camera",
    "description",
)

SCANNED = pa.schema(
    [
        *(INDEXED_IMAGES.field(name) for name in (*_FILE_COLUMNS, *_CONTENT_COLUMNS)),
        pa.field("status", pa.string(), nullable=False),  # ok, or the reason why the image cannot be used
    ]
)

SCAN_MODULE = __name__
"""Module that the worker processes of a scan need, for `prepare_workers`. Its import takes longer than many scans."""

_THREADS = 16  # number of threads that read remote files

Row = dict[str, Any]

logger = logging.getLogger(__name__)


def scan_images(files: Iterable[Row], limits: DecodingParams = DEFAULT_LIMITS) -> Iterator[Row]:
    """Scan image files in parallel.

    Args:
        files: one dict per file, with the keys path, bytes and modified.
        limits: settings of the decoder.

    Yields:
        One row per file with the columns of SCANNED, in the order of `files`.
    """
    waiting: deque[Row] = deque()
    faults = FaultCounts()
    prepare_workers(SCAN_MODULE)
    for scan in scan_bounded(_scan_item, _read_remote(files, waiting), limits):
        file = waiting.popleft()
        if isinstance(scan, FailedScan):
            yield file | {"status": scan.status}
            continue
        faults.add(file["path"], scan.faults)
        yield file | _scan_columns(scan)
    for message in faults.messages():
        logger.warning(message)


def _scan_item(item: tuple[str, bytes | None], limits: DecodingParams) -> ImageScan:
    """Scan a local file, or the content of a remote file. This function runs in a worker process."""
    path, content = item
    if is_local(path):
        return scan_file(path, limits, _measure_content)
    return ImageScan("unreadable") if content is None else scan_content(content, path, limits, _measure_content)


def _scan_columns(scan: ImageScan) -> Row:
    row: Row = {"sha256": scan.sha256, "status": scan.status}
    if scan.bytes is not None:
        row["bytes"] = scan.bytes
    measured = {"width": scan.width, "height": scan.height, **scan.quality, **scan.extra} if scan.status == "ok" else {}
    return row | measured


def _read_remote(files: Iterable[Row], waiting: deque[Row]) -> Iterator[tuple[str, bytes | None]]:
    """Yield the path of each file, with its content if the file is remote. Append each file to `waiting`.

    Remote files are read in threads of this process, because worker processes do not share its connections.
    """

    def read(file: Row) -> tuple[Row, bytes | None]:
        try:
            return file, None if is_local(file["path"]) else read_bytes(file["path"])
        except OSError:
            return file, None

    for file, content in map_in_threads(read, files, _THREADS, 2 * _THREADS):
        waiting.append(file)
        yield file["path"], content


def _measure_content(image: OpenedImage, pixels: Image.Image) -> Row:
    return {"colours": dominant_colours(pixels), **_read_metadata(image.read_exif(), image.xmp, image.stored)}


def _read_metadata(exif: Image.Exif | None, xmp: bytes | str | None, stored: Image.Image) -> Row:
    """Return the columns that are read from the metadata. Missing or invalid values are None."""
    time, place = read_capture_time(exif, xmp), read_ifd(exif, ExifTags.IFD.GPSInfo)
    return {
        "taken": time and time.taken,
        "taken_source": time and time.source,
        "latitude": _parse_degrees(place, ExifTags.GPS.GPSLatitude, ExifTags.GPS.GPSLatitudeRef, "S", 90),
        "longitude": _parse_degrees(place, ExifTags.GPS.GPSLongitude, ExifTags.GPS.GPSLongitudeRef, "W", 180),
        "camera": read_camera(exif),
        "description": read_description(exif, xmp, stored),
    }


def _parse_degrees(
    place: Mapping[int, Any], tag: int, reference_tag: int, negative: str, maximum: float
) -> float | None:
    try:
        degrees, minutes, seconds = (float(part) for part in place[tag])
    except (KeyError, TypeError, ValueError, ArithmeticError):
        return None
    value = degrees + minutes / 60 + seconds / 3600
    signed = -value if str(place.get(reference_tag)) == negative else value
    return round(signed, 6) if -maximum <= signed <= maximum else None
