"""Read the preview that a camera stores in a raw file."""

import io
from typing import Any, NamedTuple

from PIL import Image, TiffImagePlugin

_ORIENTATIONS = {0: 1, 3: 3, 5: 8, 6: 6}
"""Rotation code of libraw -> EXIF orientation."""

_MIN_SIDE = 512  # smaller previews are thumbnails
_DNG_VERSION, _SUBFILE_TYPE, _SUB_IFDS, _PHOTOMETRIC = 0xC612, 254, 330, 262
_SENSOR_DATA = (32803, 34892)  # colour filter array, linear raw


class Preview(NamedTuple):
    """Preview of a raw file.

    Attributes:
        image: bytes of a JPEG, or the decoded image if the raw file contains no suitable JPEG.
        orientation: EXIF orientation of the preview, 1 to 8, for a preview without its own orientation.
    """

    image: bytes | Image.Image
    orientation: int


def is_raw_tiff(content: bytes) -> bool:
    """Return whether a TIFF file is a camera raw file, such as DNG, CR2, NEF, ARW or PEF."""
    if content[8:10] == b"CR":
        return True
    try:
        tags = read_tiff_tags(content)
        has_reduced_image = tags.get(_SUBFILE_TYPE) == 1 and _SUB_IFDS in tags
        return _DNG_VERSION in tags or has_reduced_image or tags.get(_PHOTOMETRIC) in _SENSOR_DATA
    except Exception:  # Pillow raises many types of exceptions for damaged tags
        return False


def read_tiff_tags(content: bytes) -> TiffImagePlugin.ImageFileDirectory_v2:
    """Return the tags of the first image in a TIFF file. For a damaged file, Pillow raises many types of exceptions."""
    is_big_tiff = 43 in content[2:4]
    tags = TiffImagePlugin.ImageFileDirectory_v2(content[: 16 if is_big_tiff else 8])
    file = io.BytesIO(content)
    file.seek(tags.next)
    tags.load(file)
    return tags


def read_preview(content: bytes) -> Preview:
    """Return the embedded preview of a camera raw file, or develop the sensor data if the preview is missing or small.

    Raises:
        ImportError: rawpy is not installed.
        rawpy.LibRawError: the file is damaged or not supported.
    """
    import rawpy

    with rawpy.imread(io.BytesIO(content)) as raw:
        orientation = _ORIENTATIONS.get(raw.sizes.flip, 1)
        try:
            preview = raw.extract_thumb().data
        except (rawpy.LibRawNoThumbnailError, rawpy.LibRawUnsupportedThumbnailError):
            preview = b""
        if min(_preview_size(preview)) >= min(_MIN_SIDE, raw.sizes.width, raw.sizes.height):
            return Preview(preview if isinstance(preview, bytes) else Image.fromarray(preview), orientation)
        return Preview(Image.fromarray(raw.postprocess(half_size=True, use_camera_wb=True)), 1)


def _preview_size(preview: Any) -> tuple[int, int]:
    """Return the size of a JPEG or of a decoded image (height, width, 3). It is 0 x 0 if the JPEG is damaged."""
    if not isinstance(preview, bytes):
        return preview.shape[0], preview.shape[1]
    try:
        with Image.open(io.BytesIO(preview), formats=("JPEG",)) as image:
            return image.size
    except Exception:  # Pillow raises many types of exceptions for damaged files
        return 0, 0
