"""Tests of the parser of dates in metadata and file names."""

from datetime import datetime

import pytest

from kadr.collection.timestamps import find_timestamp_in_name, parse_timestamp, to_datetime

DAY = datetime(2019, 8, 15)
TEN = datetime(2019, 8, 15, 10)


@pytest.mark.parametrize(
    ("value", "time"),
    [
        ("2019:08:15 10:00:00", TEN),
        (b"2019:08:15 10:00:00\x00", TEN),
        ("2019:08:15 10:00:00\x00\x00left over", TEN),
        ("2019-08-15 10:00:00", TEN),
        ("2019/08/15 10:00:00", TEN),
        ("2019.08.15 10.00.00", TEN),
        ("2019:08:15 10:00:00.123", TEN),
        ("2019:08:15 10:00:00,5", TEN),
        ("2019:08:15 10:00:00+03:00", TEN),
        ("2019-08-15T10:00:00.25-0700", TEN),
        ("2019-08-15T10:00:00Z", TEN),
        ("2019-08-15T10:00+02:00", TEN),
        ("20190815T100000", TEN),
        ("20190815", DAY),
        ("2019:08:15", DAY),
        ("2019:08:15   :  :  ", DAY),
        ("2019:08:15 99:99:99", DAY),
        ("2019:8:5 9:05:03", datetime(2019, 8, 5, 9, 5, 3)),
        ("2019:08:15 10:00:00 PM", datetime(2019, 8, 15, 22)),
        ("2019:08:15 12:00:00 am", DAY),
        ("2019:08:14 24:00:00", DAY),
        ("2019:08:15 10:00:60", datetime(2019, 8, 15, 10, 1)),
        ("2019-08", datetime(2019, 8, 1)),
        ("2019", datetime(2019, 1, 1)),
        ("1850:03:04 10:00:00", datetime(1850, 3, 4, 10)),
    ],
)
def test_times_of_cameras_and_programs_are_parsed(value: object, time: datetime) -> None:
    assert parse_timestamp(value) == time


@pytest.mark.parametrize(
    "value",
    [
        "",
        None,
        "    :  :     :  :  ",
        "0000:00:00 00:00:00",
        "0001-01-01T00:00:00",
        "1601:01:01 00:00:00",
        "9999:12:31 23:59:59",
        "2019:02:30 10:00:00",
        "2019:00:00 00:00:00",
        "08/15/2019 10:00:00",
        "20190815100000123456",
        "yesterday",
        12,
        ("2019", "08"),
        b"\xff\xfe",
    ],
)
def test_blank_invalid_and_implausible_times_are_missing(value: object) -> None:
    assert parse_timestamp(value) is None


@pytest.mark.parametrize(
    ("name", "time"),
    [
        ("IMG_20190815_100000.jpg", TEN),
        ("/photos/2001-01-01/IMG_20190815_100000_HDR.jpg", TEN),
        ("PXL_20190815_100000123.MP.jpg", TEN),
        ("20190815100000.jpg", TEN),
        ("20190815_100000(0).jpg", TEN),
        ("WP_20190815_10_00_00_Pro.jpg", TEN),
        ("2019-08-15 10.00.00.jpg", TEN),
        ("2019-08-15_10-00-00-1.png", TEN),
        ("photo_2019-08-15_10-00-00.jpg", TEN),
        ("signal-2019-08-15-100000.jpg", TEN),
        ("Screenshot_2019-08-15-10-00-00-123_com.example.png", TEN),
        ("Screenshot 2019-08-15 at 10.00.00.png", TEN),
        ("Screen Shot 2019-08-15 at 9.05.03 PM.png", datetime(2019, 8, 15, 21, 5, 3)),
        ("Снимок экрана 2019-08-15 в 10.00.00.png", TEN),
        ("WhatsApp Image 2019-08-15 at 10.00.00.jpeg", TEN),
        ("IMG-20190815-WA0001.jpg", DAY),
        ("20190815_DSC012345.jpg", DAY),
        ("2019_0815.jpg", DAY),
        ("2019-08-15 birthday.jpg", DAY),
        ("1000_20190815.jpg", DAY),
        ("mmexport1565863200000.jpg", TEN),
        ("zip://a/IMG_20190815_100000.jpg::2001-01-01.zip", TEN),
    ],
)
def test_times_in_file_names_are_found(name: str, time: datetime) -> None:
    assert find_timestamp_in_name(name) == time


@pytest.mark.parametrize(
    "name",
    [
        "1000268201_693b08cb0e.jpg",
        "2008_000123.jpg",
        "2012_101112.jpg",
        "COCO_val2014_000000000042.jpg",
        "IMG_1920x1080.jpg",
        "20191315.jpg",
        "120190815.jpg",
        "DSC01234.jpg",
        "2019-08-15/IMG_1.jpg",
        "21000101.jpg",
        "a.jpg",
        "",
    ],
)
def test_other_numbers_in_file_names_are_no_dates(name: str) -> None:
    assert find_timestamp_in_name(name) is None


def test_times_out_of_range_are_none() -> None:
    assert to_datetime(-1_000_000_000) == datetime(1969, 12, 31, 23, 59, 59)
    assert to_datetime(10**27) is None
    assert to_datetime(-(10**27)) is None
