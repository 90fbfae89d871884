"""Read the capture time of an image from EXIF, XMP or GPS metadata, or from the file name."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import pandas as pd
from PIL import ExifTags, Image

from kadr.collection.timestamps import find_timestamp_in_name, parse_timestamp, plausible_time

TimeSource = Literal["exif", "xmp", "gps", "name", "file"]
"""Origin of a capture time. `file` is the modification time of the file, which may be the time of a copy."""

_ORIGINAL_TAGS = (ExifTags.Base.DateTimeOriginal, ExifTags.Base.DateTimeDigitized)
_XMP_VALUE = r"""\s*(?:=\s*["']|>)\s*([^"'<]*)"""
_XMP_TAGS = [
    re.compile(tag + _XMP_VALUE)
    for tag in ("exif:DateTimeOriginal", "photoshop:DateCreated", "(?:xmp|xap):CreateDate", "exif:DateTimeDigitized")
]


@dataclass(frozen=True)
class CaptureTime:
    """The time when an image was captured.

    Attributes:
        taken: date and time without time zone: the local time of the camera, or UTC if the source is gps.
        source: origin of the time.
    """

    taken: datetime
    source: TimeSource


def read_capture_time(exif: Image.Exif | None, xmp: bytes | str | None, path: str | None = None) -> CaptureTime | None:
    """Return the capture time of an image from the first source with a plausible value.

    The order of the sources is EXIF DateTimeOriginal, EXIF DateTimeDigitized (CreateDate), XMP, EXIF DateTime, the GPS
    date and time, and the file name.

    Args:
        exif: EXIF metadata of the image, or None. Damaged metadata counts as missing.
        xmp: XMP packet of the image, or None.
        path: path or URI of the file. None ignores the file name.

    Returns:
        The capture time, or None if no source has a plausible value.
    """
    for source, value in _metadata_values(exif, xmp):
        if taken := parse_timestamp(value):
            return CaptureTime(taken, source)
    taken = find_timestamp_in_name(path) if path else None
    return CaptureTime(taken, "name") if taken else None


def read_ifd(exif: Image.Exif | None, ifd: int) -> Mapping[int, Any]:
    """Return one block of EXIF metadata as a mapping from tags to values. It is empty if it is missing or damaged."""
    try:
        return {} if exif is None else exif.get_ifd(ifd)
    except Exception:  # Pillow raises many types of exceptions for damaged metadata
        return {}


def _metadata_values(exif: Image.Exif | None, xmp: bytes | str | None) -> Iterator[tuple[TimeSource, object]]:
    details = read_ifd(exif, ExifTags.IFD.Exif)
    for tag in _ORIGINAL_TAGS:
        yield "exif", details.get(tag, "")
    for value in _xmp_values(xmp):
        yield "xmp", value
    yield "exif", _read_tag(exif, ExifTags.Base.DateTime)
    yield "gps", _gps_timestamp(read_ifd(exif, ExifTags.IFD.GPSInfo))


def _read_tag(exif: Image.Exif | None, tag: int) -> object:
    try:
        return "" if exif is None else exif.get(tag, "")
    except Exception:  # Pillow raises many types of exceptions for damaged metadata
        return ""


def _xmp_values(xmp: bytes | str | None) -> Iterator[str]:
    """Yield the dates in an XMP packet, which may be damaged."""
    # Without zero bytes, the dates in UTF-16 are ASCII.
    text = xmp.replace(b"\x00", b"").decode("utf-8", "replace") if isinstance(xmp, bytes) else xmp or ""
    for tag in _XMP_TAGS:
        yield from tag.findall(text)


def _gps_timestamp(place: Mapping[int, Any]) -> str:
    """Return the GPS date and time in UTC as text, or an empty string if the date is missing."""
    date = place.get(ExifTags.GPS.GPSDateStamp, "")
    text = (date.decode("ascii", "replace") if isinstance(date, bytes) else str(date)).strip("\x00 ")
    try:
        hour, minute, second = (int(float(part)) for part in place[ExifTags.GPS.GPSTimeStamp])
    except (KeyError, TypeError, ValueError, ArithmeticError):
        return text
    return f"{text} {hour}:{minute:02}:{second:02}"


def add_path_times(images: pd.DataFrame) -> pd.DataFrame:
    """Return a table in which each image without a capture time has the time in its file name or of its file.

    Args:
        images: table with the columns path, modified, taken and taken_source.
    """
    images = images.reset_index(drop=True)
    in_name = images.loc[images["taken"].isna(), "path"].map(find_timestamp_in_name).astype("datetime64[us]").dropna()
    of_file = images["modified"].dropna().map(plausible_time).astype("datetime64[us]").dropna()
    taken, source = images["taken"].astype("datetime64[us]"), images["taken_source"].astype(object)
    for times, name in ((in_name, "name"), (of_file, "file")):
        source = source.where(taken.notna() | ~images.index.isin(times.index), name)
        taken = taken.fillna(times)
    return images.assign(taken=taken.dt.floor("ms"), taken_source=source)
