"""Check image files: read and decode each file, compute hashes and quality measures, and assign a status."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from kadr.io.bounded_decoding import FailedScan, scan_bounded
from kadr.io.image_scan import FaultCounts, ImageScan, scan_file
from kadr.io.image_signature import Signature
from kadr.params import DecodingParams
from kadr.progress import progress

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ImageFile:
    """A row of the IMAGES table. The status is either `ok` or the reason why the image is not used."""

    image_id: str
    path: str
    split: str
    sha256: str | None = None
    bytes: int | None = None
    width: int | None = None
    height: int | None = None
    phash: str | None = None
    signature: Signature | None = None
    blur: float | None = None
    exposure: float | None = None
    status: str = "missing"


def unchecked_images(
    source: str, folder: str, split: str, names: Iterable[str], status: str = "missing"
) -> list[ImageFile]:
    """Return image files with the given paths relative to an image folder, without reading them."""
    return [ImageFile(name, str(PurePosixPath(source, folder, name)), split, status=status) for name in names]


def check_images(images: Sequence[ImageFile], limits: DecodingParams) -> list[ImageFile]:
    """Read, hash and decode all images in worker processes.

    Args:
        images: unchecked image files, as returned by `read_image_folder`.
        limits: settings of the decoder.

    Returns:
        The images in the same order, with size, hashes, quality measures and status. The status is ok, unreadable,
        empty_file, not_an_image, too_large, too_slow, truncated or broken.
    """
    checked, faults = [], FaultCounts()
    with progress("check images", len(images)) as advance:
        scans = scan_bounded(scan_file, [image.path for image in images], limits)
        for image, scan in zip(images, scans, strict=True):
            checked.append(_with_scan(image, scan))
            if isinstance(scan, ImageScan):
                faults.add(image.path, scan.faults)
            advance(1)
    for message in faults.messages():
        logger.warning(message)
    return checked


def _with_scan(image: ImageFile, scan: ImageScan | FailedScan) -> ImageFile:
    if isinstance(scan, FailedScan):
        return replace(image, status=scan.status)
    return replace(
        image,
        sha256=scan.sha256,
        bytes=scan.bytes,
        width=scan.width,
        height=scan.height,
        **scan.quality,
        status=scan.status,
    )
