"""Tests of the capture time from EXIF, XMP, GPS and the file name."""

from datetime import datetime

import pandas as pd
import pyarrow as pa
import pytest
from PIL import Image

from kadr.collection.capture_time import CaptureTime, add_path_times, read_capture_time

TEN = datetime(2019, 8, 15, 10)
NOON = datetime(2019, 8, 15, 12)
TEXT = "2019:08:15 10:00:00"
ORIGINAL, DIGITIZED, MODIFIED = 0x9003, 0x9004, 0x132
GPS_TIME, GPS_DATE = 7, 29


def make_exif(details: dict[int, object] | None = None, place: dict[int, object] | None = None) -> Image.Exif:
    exif = Image.Exif()
    for tag, value in (details or {}).items():
        if tag == MODIFIED:
            exif[tag] = value
        else:
            exif.get_ifd(0x8769)[tag] = value
    exif.get_ifd(0x8825).update(place or {})
    return exif


def xmp(tag: str, value: str = "2019-08-15T12:00:00+02:00") -> bytes:
    return f'<x:xmpmeta><rdf:Description xmlns:a="b" {tag}="{value}"/>'.encode()


@pytest.mark.parametrize(
    "details",
    [
        {ORIGINAL: TEXT, DIGITIZED: "2001:01:01 00:00:00", MODIFIED: "2002:01:01 00:00:00"},
        {DIGITIZED: TEXT, MODIFIED: "2002:01:01 00:00:00"},
        {MODIFIED: TEXT},
        {ORIGINAL: "    :  :     :  :  ", MODIFIED: TEXT},
        {ORIGINAL: "0000:00:00 00:00:00", DIGITIZED: TEXT},
        {ORIGINAL: "9999:01:01 00:00:00", MODIFIED: TEXT},
        {ORIGINAL: 7, MODIFIED: TEXT},
    ],
)
def test_the_first_plausible_exif_time_is_used(details: dict[int, object]) -> None:
    assert read_capture_time(make_exif(details), None, "2003-01-01.jpg") == CaptureTime(TEN, "exif")


@pytest.mark.parametrize(
    "packet",
    [
        xmp("exif:DateTimeOriginal"),
        xmp("photoshop:DateCreated"),
        xmp("xmp:CreateDate"),
        xmp("xmp:CreateDate").decode(),
        xmp("xmp:CreateDate").decode().encode("utf-16"),
        b"\xff<xmp:CreateDate>2019-08-15T12:00:00</xmp:Cre",
        xmp("exif:DateTimeOriginal", "") + xmp("xmp:CreateDate"),
    ],
)
def test_xmp_times_are_read(packet: bytes | str) -> None:
    assert read_capture_time(None, packet) == CaptureTime(NOON, "xmp")
    assert read_capture_time(make_exif({MODIFIED: TEXT}), packet) == CaptureTime(NOON, "xmp")
    assert read_capture_time(make_exif({ORIGINAL: TEXT}), packet) == CaptureTime(TEN, "exif")


def test_gps_times_are_read() -> None:
    place = {GPS_DATE: "2019:08:15", GPS_TIME: (10.0, 0.0, 0.5)}
    assert read_capture_time(make_exif(place=place), None, "2003-01-01.jpg") == CaptureTime(TEN, "gps")
    assert read_capture_time(make_exif(place={GPS_DATE: "2019:08:15"}), None) == CaptureTime(
        datetime(2019, 8, 15), "gps"
    )
    assert read_capture_time(make_exif(place={GPS_TIME: (10.0, 0.0, 0.0)}), None) is None


def test_the_file_name_is_the_last_source() -> None:
    exif = make_exif({ORIGINAL: "yesterday"}, {GPS_DATE: "0000:00:00", GPS_TIME: (float("nan"), 0, 0)})
    assert read_capture_time(exif, b"<x/>", "IMG_20190815_100000.jpg") == CaptureTime(TEN, "name")
    assert read_capture_time(exif, b"<x/>", "a.jpg") is None
    assert read_capture_time(exif, b"<x/>") is None


def test_damaged_exif_counts_as_missing() -> None:
    class Damaged(Image.Exif):
        def get_ifd(self, tag: int) -> dict:
            raise AttributeError(tag)

        def get(self, key: int, default: object = None) -> object:
            raise RuntimeError(key)

    assert read_capture_time(Damaged(), None, "a.jpg") is None


def test_times_of_paths_fill_missing_capture_times() -> None:
    copied = datetime(2024, 1, 2, 3, 4, 5, 678901)
    rows = [
        ("a/2018-01-01.jpg", copied, TEN, "exif"),
        ("a/IMG_20190815_100000.jpg", copied, None, None),
        ("a/b.jpg", copied, None, None),
        ("a/c.jpg", datetime(9999, 1, 1), None, None),
        ("a/d.jpg", datetime(1970, 1, 1), None, None),
        ("a/e.jpg", None, None, None),
    ]
    table = add_path_times(pd.DataFrame(rows, columns=["path", "modified", "taken", "taken_source"]))
    assert pa.Table.from_pandas(table[["taken", "taken_source"]]).to_pylist() == [
        {"taken": TEN, "taken_source": "exif"},
        {"taken": TEN, "taken_source": "name"},
        {"taken": datetime(2024, 1, 2, 3, 4, 5, 678000), "taken_source": "file"},
        *[{"taken": None, "taken_source": None}] * 3,
    ]
