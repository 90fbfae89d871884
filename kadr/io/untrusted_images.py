"""Decode images from unknown sources, such as uploads, so that a damaged image cannot crash this process.

The decoders of some formats can crash, e.g. for damaged HEIC files. These formats are decoded in a worker process.
"""

from dataclasses import dataclass

from PIL import Image

from kadr.errors import ImageProblem, UndecodableError
from kadr.io.bounded_decoding import FailedScan, scan_bounded
from kadr.io.image_decoding import DEFAULT_LIMITS, decode_image, open_image
from kadr.io.image_formats import detect_format
from kadr.params import DecodingParams

ROBUST_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", None)
"""Formats that are decoded in this process. None is an unknown format, which is not decoded."""

Size = tuple[int, int]


@dataclass(frozen=True)
class _Job:
    """An image to decode in a worker process. If `only_check` is True, its pixels are not decoded."""

    content: bytes
    path: str
    side: int | None
    only_check: bool


@dataclass(frozen=True)
class _Failure:
    message: str
    status: ImageProblem
    size: Size | None


def decode_untrusted(
    content: bytes, path: str, side: int | None = None, limits: DecodingParams = DEFAULT_LIMITS
) -> Image.Image:
    """Decode an image from an unknown source to an upright RGB image. The arguments are those of `decode_image`.

    Raises:
        UndecodableError: the file is empty or damaged, has an unsupported format, or exceeds a limit.
    """
    if detect_format(content) in ROBUST_FORMATS:
        return decode_image(content, path, side, limits=limits)
    size, pixels = _run(_Job(content, path, side, only_check=False), limits)
    return Image.frombytes("RGB", size, pixels)


def check_untrusted(content: bytes, path: str, limits: DecodingParams) -> None:
    """Check the format and the size of an image from an unknown source, without decoding its pixels.

    Raises:
        UndecodableError: the file is empty, has an unsupported format or a damaged header, or exceeds a limit.
    """
    if detect_format(content) in ROBUST_FORMATS:
        _open_and_check(content, path, limits)
    else:
        _run(_Job(content, path, None, only_check=True), limits)


def _open_and_check(content: bytes, path: str, limits: DecodingParams) -> Size:
    with open_image(content, path, limits) as image:
        return image.size


def _run(job: _Job, limits: DecodingParams) -> tuple[Size, bytes]:
    """Decode or check an image in a worker process. Return its size and RGB pixels, which are empty after a check."""
    (result,) = scan_bounded(_decode, [job], limits, max_workers=1)
    if isinstance(result, _Failure):
        raise UndecodableError(result.message, result.status, result.size)
    if isinstance(result, FailedScan):
        problem = "its decoder took too long" if result.status == "too_slow" else "its decoder failed"
        raise UndecodableError(f"{job.path}: the image cannot be decoded ({problem}). Use another file.", result.status)
    return result


def _decode(job: _Job, limits: DecodingParams) -> tuple[Size, bytes] | _Failure:
    """Decode or check an image. This function runs in a worker process."""
    try:
        if job.only_check:
            return _open_and_check(job.content, job.path, limits), b""
        image = decode_image(job.content, job.path, job.side, limits=limits)
    except UndecodableError as error:
        return _Failure(str(error), error.status, error.size)
    return image.size, image.tobytes()
