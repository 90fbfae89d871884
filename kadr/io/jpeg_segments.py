"""Split a JPEG file into its image data and its metadata, and find damage that the decoder does not report."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_START = b"\xff\xd8"
END_MARKER = b"\xff\xd9"
_EOI, _SOS = 0xD9, 0xDA
_JFIF, _ADOBE = 0xE0, 0xEE
_BASELINE = (0xC0, 0xC1)
_FRAMES = (*_BASELINE, 0xC2, 0xC9, 0xCA)
_N_COMPONENTS = 9  # offset in a frame header
_N_COEFFICIENTS = 64
_STANDALONE = (0x00, 0x01, *range(0xD0, 0xD9))
_APPLICATION = (*range(0xE0, 0xF0), 0xFE)  # application data and comments
_IN_IMAGE = (0xC4, _SOS, 0xDB, 0xDC, 0xDD, *_APPLICATION)
"""Markers that can follow the data of one scan: tables, the next scan, the number of lines, and comments."""

_EXIF_HEADERS = (b"Exif\0\0", b"Exif\0\xff")
_XMP_HEADER = b"http://ns.adobe.com/xap/1.0/\0"
_ICC_HEADER = b"ICC_PROFILE\0"
_MIN_JFIF, _MIN_ADOBE = 18, 16  # length of a complete segment in bytes
_MARKER_IN_DATA = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")


@dataclass(frozen=True)
class JpegSegments:
    """Parts of a JPEG file.

    Attributes:
        pixels: the file without metadata, for the decoder.
        exif: EXIF block, from the TIFF header onwards.
        xmp: XMP packet.
        icc_profile: colour profile.
        n_scans: number of scans, at most one more than the limit of `split_jpeg`.
        data_start: offset of the first scan in `pixels`.
        data_end: offset of the end marker in `pixels`. None if the image data has no regular end.
        is_open: whether the file ends in the data of the scan that completes the image, without a marker.
        is_baseline: whether the image is sequential, so that a cut file lacks the lower part of the image.
        faults: descriptions of faulty metadata.
    """

    pixels: bytes
    exif: bytes | None
    xmp: bytes | None
    icc_profile: bytes | None
    n_scans: int
    data_start: int
    data_end: int | None
    is_open: bool
    is_baseline: bool
    faults: tuple[str, ...]


def split_jpeg(content: bytes, max_scans: int) -> JpegSegments:
    """Split a JPEG file into its image data and its metadata.

    The decoder reads only the tables, the frame header and the scans. Faulty metadata has no effect on the pixels.

    Args:
        content: bytes of the file.
        max_scans: number of scans after which counting stops.
    """
    kept, metadata, faults = [_START], _Metadata(), list[str]()
    is_baseline, start, n_components = False, len(content), 0
    for marker, offset, segment in _read_segments(content):
        if marker == _SOS:
            start = offset
        elif marker not in _APPLICATION:
            kept.append(segment)
            is_baseline |= marker in _BASELINE
            if marker in _FRAMES and len(segment) > _N_COMPONENTS:
                n_components = segment[_N_COMPONENTS]
        elif (minimum := _minimum_length(marker, segment)) is None:
            metadata.add(segment[4:])
        elif len(segment) >= minimum:
            kept.append(segment)
        else:
            faults.append(f"incomplete {'JFIF' if marker == _JFIF else 'Adobe'} block")
    if metadata.profile_parts and metadata.icc_profile is None:
        faults.append("incomplete colour profile")
    head = b"".join(kept)
    n_scans, end, is_open = _find_end(content, start, n_components, max_scans)
    return JpegSegments(
        pixels=head + content[start:],
        exif=metadata.exif,
        xmp=metadata.xmp,
        icc_profile=metadata.icc_profile,
        n_scans=n_scans,
        data_start=len(head),
        data_end=None if end is None else len(head) + end - start,
        is_open=is_open,
        is_baseline=is_baseline,
        faults=tuple(faults),
    )


def count_last_zeros(jpeg: JpegSegments) -> int:
    """Return the number of zero bytes at the end of the image data."""
    end, start = jpeg.data_end or len(jpeg.pixels), jpeg.data_start
    while end > start and jpeg.pixels[end - 1] == 0:
        end -= 1
    return (jpeg.data_end or len(jpeg.pixels)) - end


def shorten(jpeg: JpegSegments, n_bytes: int, tail: bytes = b"") -> bytes:
    """Return the JPEG for the decoder, with its last bytes of image data replaced by `tail`."""
    end = len(jpeg.pixels) if jpeg.data_end is None else jpeg.data_end
    return jpeg.pixels[: max(jpeg.data_start, end - n_bytes)].rstrip(b"\xff") + tail + END_MARKER


class _Metadata:
    """Metadata in the application segments of a JPEG file."""

    def __init__(self) -> None:
        self.exif: bytes | None = None
        self.xmp: bytes | None = None
        self.profile_parts: dict[int, bytes] = {}
        self._n_profile_parts = 0

    def add(self, payload: bytes) -> None:
        """Add the payload of one segment."""
        if payload.startswith(_EXIF_HEADERS):
            self.exif = self.exif or payload[6:]
        elif payload.startswith(_XMP_HEADER):
            self.xmp = self.xmp or payload[len(_XMP_HEADER) :]
        elif payload.startswith(_ICC_HEADER) and len(payload) > len(_ICC_HEADER) + 2:
            number, self._n_profile_parts = payload[len(_ICC_HEADER)], payload[len(_ICC_HEADER) + 1]
            self.profile_parts[number] = payload[len(_ICC_HEADER) + 2 :]

    @property
    def icc_profile(self) -> bytes | None:
        """The colour profile, or None if it is missing or incomplete."""
        numbers = sorted(self.profile_parts)
        if not numbers or numbers != list(range(1, self._n_profile_parts + 1)):
            return None
        return b"".join(self.profile_parts[number] for number in numbers)


def _read_segments(content: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield the marker, the offset and the bytes of each segment, up to and including the header of the first scan."""
    position = len(_START)
    while (start := content.find(b"\xff", position)) != -1:
        while content[start + 1 : start + 2] == b"\xff":
            start += 1
        marker = content[start + 1] if start + 1 < len(content) else _EOI
        if marker == _EOI:
            return
        position = start + 2
        if marker not in _STANDALONE:
            position += max(2, int.from_bytes(content[start + 2 : start + 4], "big"))
            yield marker, start, content[start:position]
        if marker == _SOS:
            return


def _minimum_length(marker: int, segment: bytes) -> int | None:
    """Return the length of a complete JFIF or Adobe segment in bytes. Return None for other segments."""
    if marker == _JFIF and segment[4:].startswith(b"JFIF\0"):
        return _MIN_JFIF
    return _MIN_ADOBE if marker == _ADOBE and segment[4:].startswith(b"Adobe") else None


def _find_end(content: bytes, start: int, n_components: int, max_scans: int) -> tuple[int, int | None, bool]:
    """Return the number of scans from `start`, the offset of the end marker, and `is_open` of JpegSegments.

    The offset is None without a regular end.
    """
    n_scans, marker, coefficients = 0, None, set[tuple[int, int]]()
    while (found := _MARKER_IN_DATA.search(content, start)) is not None:
        marker = content[found.start() + 1]
        if marker == _EOI:
            return n_scans, found.start(), False
        n_scans += marker == _SOS
        if marker not in _IN_IMAGE or n_scans > max_scans:
            return n_scans, None, False
        start = found.start() + 2 + int.from_bytes(content[found.start() + 2 : found.start() + 4], "big")
        if marker == _SOS:
            coefficients |= _complete_coefficients(content[found.start() + 4 : start])
    is_last = marker == _SOS and len(coefficients) == n_components * _N_COEFFICIENTS
    return n_scans, None, is_last and start < len(content)


def _complete_coefficients(scan: bytes) -> set[tuple[int, int]]:
    """Return the components and the coefficients that have all their bits after a scan, based on its header."""
    if len(scan) < 6 or len(scan) != 4 + 2 * scan[0] or scan[-1] & 0x0F:
        return set()
    return {(component, number) for component in scan[1:-3:2] for number in range(scan[-3], scan[-2] + 1)}
