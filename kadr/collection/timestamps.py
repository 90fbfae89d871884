"""Parse dates and times in image metadata and in file names."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath

EARLIEST_YEAR = 1826
"""Year of the oldest surviving photograph."""

_MAX_LENGTH = 100  # number of characters of a value that are parsed

_CLOCK = r"(?P<hour>\d{1,2})(?P<colon>[-_.:]?)(?P<minute>\d{2})(?P=colon)(?P<second>\d{1,2})"
_HALF = r"\s*(?P<half>[AaPp][Mm])?"
_TIMESTAMP = re.compile(
    r"(?P<year>\d{4})(?:(?P<separator>[:\-/.])(?P<month>\d{1,2})(?:(?P=separator)(?P<day>\d{1,2}))?)?(?!\d)"
    rf"(?:[T\s_-]+(?:{_CLOCK}(?:[.,]\d+)?|(?P<hours>\d{{1,2}}):(?P<minutes>\d{{2}})){_HALF})?"
)
_COMPACT = re.compile(r"(\d{4})(\d{2})(\d{2})(?:[T\s_]?(\d{2})(\d{2})(\d{2}))?(?!\d)")  # 20190815T100000
_NAME = re.compile(
    r"(?<!\d)(?P<year>(?:18|19|20)\d{2})(?P<separator>[-_. ]?)(?P<month>\d{2})(?:(?P=separator)|_?)(?P<day>\d{2})"
    rf"(?:(?P<gap>[-_. T]{{0,3}}|\D{{0,8}}?\s){_CLOCK}(?:[-_.]?\d{{3}})?(?!\d){_HALF})?"
)
_EPOCH_NAME = re.compile(r"(?:mmexport|FB_IMG_)(\d{13})(?!\d)")  # milliseconds since 1970 (WeChat, Facebook)


def parse_timestamp(value: object) -> datetime | None:
    """Parse a date with an optional time, as cameras and programs write it to EXIF and XMP metadata.

    Fractions of a second and UTC offsets are accepted and dropped, so the result is the local time of the camera. If
    the time of day is blank or invalid, the result is the start of the day.

    Args:
        value: text or bytes, such as `2019:08:15 10:00:00` or `2019-08-15T10:00:00.25+03:00`.

    Returns:
        Date and time without time zone, or None if the value is blank, zero, invalid or implausible.

    >>> parse_timestamp("2019:8:15 9:05:03")
    datetime.datetime(2019, 8, 15, 9, 5, 3)
    >>> parse_timestamp("0000:00:00 00:00:00") is None
    True
    """
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)
    text = text[:_MAX_LENGTH].strip("\x00 \t\r\n").partition("\x00")[0]
    if compact := _COMPACT.match(text):
        return _make_time(compact.groups()[:3], compact.groups()[3:])
    match = _TIMESTAMP.match(text)
    if match is None:
        return None
    clock = match.group("hour", "minute", "second") if match["hour"] else (*match.group("hours", "minutes"), "0")
    return _make_time((match["year"], match["month"] or "1", match["day"] or "1"), clock, match["half"])


def find_timestamp_in_name(path: str) -> datetime | None:
    """Return the date and time in a file name, such as IMG_20190815_100000.jpg or `2019-08-15 10.00.00.png`.

    Args:
        path: path or URI of the file. Folder names are ignored.

    Returns:
        Date and time without time zone, or None if the name contains no plausible date. If the name contains no time,
        the result is the start of the day.
    """
    name = PurePosixPath(path.partition("::")[0] if "://" in path else path).name
    for match in _NAME.finditer(name):
        day, clock = match.group("year", "month", "day"), match.group("hour", "minute", "second")
        has_clock = match["hour"] is not None and (bool(match["colon"]) or _is_plain_gap(match))
        is_part_of_number = not has_clock and name[match.end("day") :][:1].isdigit()
        if not is_part_of_number and (time := _make_time(day, clock if has_clock else (), match["half"])):
            return time
    epoch = _EPOCH_NAME.search(name)
    time = to_datetime(int(epoch[1]) * 1_000_000) if epoch else None
    return time if time and _is_plausible(time) else None


def to_datetime(nanoseconds: int) -> datetime | None:
    """Convert nanoseconds since 1970 to UTC without time zone. Return None for a time outside the years 1 to 9999."""
    try:
        return datetime(1970, 1, 1) + timedelta(microseconds=nanoseconds // 1000)
    except OverflowError:
        return None


def plausible_time(time: datetime) -> datetime | None:
    """Return a modification time, or None if the time is 1970-01-01 00:00:00 or cannot be the time of an image."""
    return time if _is_plausible(time) and time != datetime(1970, 1, 1) else None


def _is_plain_gap(match: "re.Match[str]") -> bool:
    """Return whether a time without separators is next to the date, so that it is not another number."""
    return len(match["hour"]) == 2 and len(match["gap"]) <= 1


def _make_time(day: tuple[str | None, ...], clock: tuple[str | None, ...], half: str | None = None) -> datetime | None:
    """Return the time of a day (year, month, day) and a clock (hour, minute, second). Each part is text or None."""
    try:
        date = datetime(*(int(part or 0) for part in day))  # type: ignore[arg-type]
    except ValueError:
        return None
    if not _is_plausible(date):
        return None
    if not clock or clock[0] is None:
        return date
    hour, minute, second = (int(part or 0) for part in clock)
    if half and 1 <= hour <= 12:
        hour = hour % 12 + (12 if half.lower() == "pm" else 0)
    is_valid = hour <= 24 and minute <= 59 and second <= 60  # 24:00:00 and leap seconds
    return date + timedelta(hours=hour, minutes=minute, seconds=second) if is_valid else date


def _is_plausible(time: datetime) -> bool:
    return EARLIEST_YEAR <= time.year <= datetime.now(UTC).year + 1
