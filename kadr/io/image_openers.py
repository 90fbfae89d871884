"""Open an image file in any supported format, with its metadata separated from its pixels."""

import io
import math
import re
from collections.abc import Callable

import numpy as np
from PIL import Image, UnidentifiedImageError

from kadr.errors import UndecodableError
from kadr.io.camera_raw import is_raw_tiff, read_preview, read_tiff_tags
from kadr.io.colour_conversion import scale_to_8_bits
from kadr.io.exif_orientation import UPRIGHT, find_orientation, read_orientation, upright_size
from kadr.io.image_formats import detect_format, register_format
from kadr.io.jpeg_segments import split_jpeg
from kadr.io.jxl_header import read_jxl_size
from kadr.io.missing_jpeg_data import add_end_marker
from kadr.io.opened_image import OpenedImage
from kadr.io.png_chunks import split_png
from kadr.params import DecodingParams

MAX_JPEG_SCANS = 200
"""Maximum number of scans of a JPEG. Each scan takes as long as a small image, and takes up only a few bytes."""

_WHITE_IS_ZERO = 0
_WIDTH, _HEIGHT, _PHOTOMETRIC = 256, 257, 262  # TIFF tags
_AVIF_EXIF_ITEM = re.compile(rb"(infe[\x02\x03].{7,9})Exif", re.DOTALL)


def open_format(content: bytes, path: str, limits: DecodingParams) -> OpenedImage:
    """Open an image file without decoding its pixels.

    Args:
        content: bytes of the file.
        path: file name for error messages.
        limits: settings of the decoder.

    Raises:
        UndecodableError: the file is damaged, or exceeds a limit.
        UnidentifiedImageError: the format is not supported.
        ValueError: the header of the file is damaged. Pillow raises many other types of exceptions.
    """
    name = detect_format(content)
    if name is None:
        raise UnidentifiedImageError
    register_format(name)
    if name == "TIFF" and is_raw_tiff(content):
        name = "RAW"
    try:
        return _OPENERS.get(name, _open_with_pillow)(content, path, name, limits)
    except UnidentifiedImageError as error:
        raise ValueError(f"the header of the {name} file is damaged") from error


def _open_with_pillow(content: bytes, path: str, name: str, limits: DecodingParams) -> OpenedImage:
    """Open an image with the plugin of Pillow for its format."""
    stored = Image.open(io.BytesIO(content), formats=(name,))
    info = stored.info
    exif = _block(info.get("exif"))
    image = OpenedImage(path, stored, name, limits.background_rgb, UPRIGHT, exif, _block(info.get("xmp")))
    image.icc_profile = _block(info.get("icc_profile"))
    if name in ("WEBP", "AVIF"):  # Pillow stores the rotation of an AVIF image in its EXIF block
        image.orientation = read_orientation(exif)
    return image


def _open_jpeg(content: bytes, path: str, name: str, limits: DecodingParams) -> OpenedImage:
    jpeg = split_jpeg(content, MAX_JPEG_SCANS)
    stored = Image.open(io.BytesIO(jpeg.pixels), formats=("JPEG",))
    orientation = read_orientation(jpeg.exif)
    size = upright_size(stored.size, orientation)
    if jpeg.n_scans > MAX_JPEG_SCANS:
        raise UndecodableError(
            f"{path}: the JPEG has more than {MAX_JPEG_SCANS} scans, so decoding would be slow. Save the image again.",
            "too_slow",
            size,
        )
    if jpeg.data_end is None and math.prod(size) <= limits.max_pixels:
        complete = add_end_marker(jpeg)
        if complete is None:
            raise UndecodableError(
                f"{path}: the end of the image data is missing. Replace the file with a complete copy.",
                "truncated",
                size,
            )
        jpeg = complete
        stored = Image.open(io.BytesIO(jpeg.pixels), formats=("JPEG",))
    image = OpenedImage(path, stored, name, limits.background_rgb, orientation, jpeg.exif, jpeg.xmp, jpeg.icc_profile)
    image.jpeg = jpeg
    image.faults += jpeg.faults
    return image


def _open_png(content: bytes, path: str, name: str, limits: DecodingParams) -> OpenedImage:
    png = split_png(content)
    stored = Image.open(io.BytesIO(png.pixels), formats=("PNG",))
    orientation = read_orientation(png.exif)
    if png.damage and math.prod(stored.size) <= limits.max_pixels:
        raise UndecodableError(
            f"{path}: the image is damaged ({png.damage}). Replace the file with an undamaged copy.",
            "broken",
            upright_size(stored.size, orientation),
        )
    image = OpenedImage(path, stored, name, limits.background_rgb, orientation, png.exif, png.xmp, png.icc_profile)
    image.faults += png.faults
    return image


def _open_tiff(content: bytes, path: str, name: str, limits: DecodingParams) -> OpenedImage:
    """Open a TIFF file. Pillow would rotate the pixels itself, and fail if another tag is faulty."""
    tag = find_orientation(content)
    if tag is not None:
        upright = UPRIGHT.to_bytes(2, "little" if tag.byte_order == "<" else "big")
        content = content[: tag.offset] + upright + content[tag.offset + 2 :]
    try:
        image = _open_with_pillow(content, path, name, limits)
    except UnidentifiedImageError:  # Pillow does not support several channels of float or 32 bits
        image = _open_with_opencv(content, path, name, limits)
    else:
        image.white_is_zero = image.stored.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO  # type: ignore[attr-defined]
        image.stored.getexif = Image.Exif  # type: ignore[method-assign]
    image.orientation = UPRIGHT if tag is None else tag.value
    image.exif_block = content
    return image


def _open_with_opencv(content: bytes, path: str, name: str, limits: DecodingParams) -> OpenedImage:
    """Decode a TIFF file with several channels of any number of bits."""
    import cv2

    tags = read_tiff_tags(content)
    check_size((int(tags[_WIDTH]), int(tags[_HEIGHT])), path, limits)
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # the status reports damage
    values = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None or values.ndim != 3 or values.shape[2] not in (3, 4):
        raise UnidentifiedImageError
    channels = scale_to_8_bits(values)
    order = [2, 1, 0, 3][: values.shape[2]]
    return OpenedImage(path, Image.fromarray(np.ascontiguousarray(channels[:, :, order])), name, limits.background_rgb)


def _open_jxl(content: bytes, path: str, name: str, limits: DecodingParams) -> OpenedImage:
    size = read_jxl_size(content)
    if size is not None:
        check_size(size, path, limits)
    image = _open_with_pillow(content, path, name, limits)
    if image.stored.jpeg:  # type: ignore[attr-defined]  # the pixels of a recompressed JPEG are not rotated
        image.orientation = read_orientation(image.exif_block)
    return image


def _open_raw(content: bytes, path: str, name: str, limits: DecodingParams) -> OpenedImage:
    try:
        preview = read_preview(content)
    except Exception:  # the errors of rawpy have no common base class
        if detect_format(content) == "TIFF":
            return _open_tiff(content, path, "TIFF", limits)
        raise
    if isinstance(preview.image, Image.Image):
        return OpenedImage(path, preview.image, name, limits.background_rgb, preview.orientation)
    image = _open_jpeg(preview.image, path, name, limits)
    if find_orientation(image.exif_block) is None:
        image.orientation = preview.orientation
    return image


def _open_avif(content: bytes, path: str, name: str, limits: DecodingParams) -> OpenedImage:
    """Open an AVIF file. Pillow cannot open the file if its EXIF block is faulty."""
    try:
        return _open_with_pillow(content, path, name, limits)
    except Exception:  # Pillow raises many types of exceptions for damaged metadata
        hidden = _AVIF_EXIF_ITEM.sub(rb"\1none", content)
        if hidden == content:
            raise
    image = _open_with_pillow(hidden, path, name, limits)
    image.faults.append("damaged EXIF block")
    return image


def check_size(size: tuple[int, int], path: str, limits: DecodingParams) -> None:
    """Raise UndecodableError if an image exceeds the limits on its pixels or its aspect ratio.

    Args:
        size: width and height of the upright image in pixels.
        path: file name for the error message.
        limits: limits on the size of the image.
    """
    width, height = size
    if width * height > limits.max_pixels:
        raise UndecodableError(
            f"{path}: the image has {width * height:,} pixels ({width} x {height}), expected at most "
            f"{limits.max_pixels:,}. Scale it down, or raise decoding.max_pixels.",
            "too_large",
            size,
        )
    if max(size) > limits.max_aspect_ratio * min(size):
        raise UndecodableError(
            f"{path}: the image is {width} x {height} pixels, expected an aspect ratio of at most "
            f"{limits.max_aspect_ratio:g}. Crop it, or raise decoding.max_aspect_ratio.",
            "too_large",
            size,
        )


def _block(value: object) -> bytes | None:
    """Return a metadata block of Pillow as bytes, without the header of EXIF blocks in JPEG files."""
    if isinstance(value, str):
        return value.encode()
    return value.removeprefix(b"Exif\0\0") if isinstance(value, bytes) and value else None


_Opener = Callable[[bytes, str, str, DecodingParams], OpenedImage]
_OPENERS: dict[str, _Opener] = {
    "JPEG": _open_jpeg,
    "PNG": _open_png,
    "AVIF": _open_avif,
    "TIFF": _open_tiff,
    "JXL": _open_jxl,
    "RAW": _open_raw,
}
