"""Detect JPEG files that lack the lower part of the image, with or without an end marker.

A decoder fills the missing part with uniform grey, or with a pattern if zeros replace the data. A complete image can
also have a grey area at the bottom, and its data can also end in zeros. The cases differ in the effect of the last
bytes, so the image is decoded again without some of these bytes.
"""

import io
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from PIL import Image

from kadr.io.jpeg_segments import END_MARKER, JpegSegments, count_last_zeros, shorten

Reduce = Callable[[Image.Image], object]
Pixels = npt.NDArray[np.uint8]

_FILL_VALUE = 128
_PIXELS_PER_BYTE = 256  # a block of 8 x 8 pixels takes up at least 2 bits
_BLENDED_ROWS = 2  # rows above a block whose colours are blended with the block at full size
_MIN_BYTES = 2  # minimum number of bytes that are removed
_MIN_ZEROS = 16
_TAILS = (b"", b"\x55" * 64, b"\xb6\x6d\xdb" * 21)  # different values of the bits that may be missing


def add_end_marker(jpeg: JpegSegments) -> JpegSegments | None:
    """Add the missing end marker to a JPEG with complete image data. Return None if data is missing.

    The data is complete if bytes that are added to it do not change the pixels. Zeros at the end do not count as
    data, because they may replace missing data.
    """
    if not jpeg.is_open or not _is_complete(jpeg, 0):
        return None
    n_zeros = count_last_zeros(jpeg)
    if n_zeros and not _is_complete(jpeg, n_zeros):
        return None
    pixels = shorten(jpeg, 0)
    faults = (*jpeg.faults, "missing end marker")
    return replace(jpeg, pixels=pixels, data_end=len(pixels) - len(END_MARKER), is_open=False, faults=faults)


def _is_complete(jpeg: JpegSegments, n_bytes: int) -> bool:
    """Return whether the image is the same for all values of the bytes that follow its data without `n_bytes` bytes."""
    try:
        images = [_decode(shorten(jpeg, n_bytes, tail)) for tail in _TAILS]
    except Exception:  # Pillow raises many types of exceptions for damaged pixels
        return False
    return all(np.array_equal(image, images[0]) for image in images)


def lacks_lower_part(image: Image.Image, full_size: tuple[int, int], jpeg: JpegSegments, reduce: Reduce) -> bool:
    """Return whether the lower part of a sequential JPEG is missing.

    Args:
        image: decoded image.
        full_size: width and height of the image in pixels at full size.
        jpeg: segments of the file.
        reduce: function that sets the size and the mode at which `image` was decoded.
    """
    if image.mode not in ("RGB", "L"):
        return False
    return _ends_in_fill_colour(image, full_size, jpeg, reduce) or _ends_in_zeros(image, jpeg, reduce)


def _ends_in_fill_colour(image: Image.Image, full_size: tuple[int, int], jpeg: JpegSegments, reduce: Reduce) -> bool:
    """Return whether the end of the image has the fill colour because its data is missing.

    Without its last bytes, a complete image changes only within its grey area, because this area takes up the bytes.
    """
    n_rows = _count_filled_rows(image)
    n_bytes = n_rows * full_size[1] // image.height * full_size[0] // _PIXELS_PER_BYTE // 2
    if n_bytes < _MIN_BYTES:
        return False
    n_compared = max(0, image.height - n_rows - (_BLENDED_ROWS if image.size == full_size else 0))
    before, after = (pixels[:n_compared] for pixels in (np.asarray(image), _decode_without(jpeg, n_bytes, reduce)))
    return not np.array_equal(before, after)


def _ends_in_zeros(image: Image.Image, jpeg: JpegSegments, reduce: Reduce) -> bool:
    """Return whether zeros replace the end of the data.

    In a complete image, the zeros are either needed to the last byte, or not needed at all.
    """
    n_zeros = count_last_zeros(jpeg)
    if n_zeros < _MIN_ZEROS:
        return False
    pixels = np.asarray(image)
    has_surplus = np.array_equal(pixels, _decode_without(jpeg, _MIN_ZEROS // 2, reduce))
    return has_surplus and not np.array_equal(pixels, _decode_without(jpeg, n_zeros - _MIN_BYTES, reduce))


def _decode_without(jpeg: JpegSegments, n_bytes: int, reduce: Reduce) -> Pixels:
    """Decode a JPEG without the last bytes of its data."""
    return _decode(shorten(jpeg, n_bytes), reduce)


def _decode(content: bytes, reduce: Reduce | None = None) -> Pixels:
    with Image.open(io.BytesIO(content), formats=("JPEG",)) as image:
        if reduce is not None:
            reduce(image)
        return np.asarray(image)


def _count_filled_rows(image: Image.Image) -> int:
    """Return the number of last rows of the image whose pixels all have the fill colour."""
    corner = image.getpixel((0, image.height - 1))
    if corner not in (_FILL_VALUE, (_FILL_VALUE,) * 3):  # most images, without a copy of their pixels
        return 0
    last_row = image.crop((0, image.height - 1, image.width, image.height))
    if set(np.unique(np.asarray(last_row))) != {_FILL_VALUE}:
        return 0
    has_fill_colour = (np.asarray(image).reshape(image.height, -1) == _FILL_VALUE).all(axis=1)
    return image.height if has_fill_colour.all() else int(np.argmin(has_fill_colour[::-1]))
