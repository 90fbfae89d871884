"""Read the orientation of an image from its EXIF block, and rotate the image accordingly."""

import struct
from typing import NamedTuple

from PIL import Image

UPRIGHT = 1
"""Orientation of an image that is stored upright."""

_TAG, _SHORT = 0x0112, 3
_TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = (5, 6, 7, 8)
"""Orientations that swap width and height."""


class OrientationTag(NamedTuple):
    """Value of the orientation tag, and offset of its two bytes in the EXIF block."""

    value: int
    offset: int
    byte_order: str


def find_orientation(exif: bytes | None) -> OrientationTag | None:
    """Find the orientation tag in an EXIF block or in a TIFF file.

    As in web browsers, the tag is valid only if it is a single 16-bit number from 1 to 8. Pillow is not used, because
    it raises exceptions for faults in other tags.

    Args:
        exif: EXIF block, from the TIFF header onwards.

    Returns:
        The tag, or None if it is missing or invalid.
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get((exif or b"")[:4])
    if exif is None or order is None:
        return None
    try:
        (start,) = struct.unpack_from(f"{order}I", exif, 4)
        (n_tags,) = struct.unpack_from(f"{order}H", exif, start)
        for entry in range(start + 2, start + 2 + 12 * n_tags, 12):
            tag, kind, count, value = struct.unpack_from(f"{order}HHIH", exif, entry)
            if tag == _TAG:
                is_valid = kind == _SHORT and count == 1 and 1 <= value <= 8
                return OrientationTag(value, entry + 8, order) if is_valid else None
    except struct.error:  # the block ends early
        return None
    return None


def read_orientation(exif: bytes | None) -> int:
    """Return the orientation of an image, 1 to 8, based on its EXIF block. It is 1 if the tag is missing or invalid."""
    tag = find_orientation(exif)
    return UPRIGHT if tag is None else tag.value


def turn_upright(image: Image.Image, orientation: int) -> Image.Image:
    """Return the image rotated and mirrored according to its orientation."""
    method = _TRANSPOSITIONS.get(orientation)
    return image if method is None else image.transpose(method)


def upright_size(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """Return the width and height of the upright image.

    Args:
        size: width and height of the stored image.
        orientation: orientation of the stored image, 1 to 8.
    """
    width, height = size
    return (height, width) if orientation in _SIDEWAYS else (width, height)
