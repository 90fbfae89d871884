"""Scan image files: compute the hash, size and quality of each image, or find the reason why it cannot be used."""

import hashlib
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from PIL import Image

from kadr.errors import UndecodableError
from kadr.io.image_decoding import open_image
from kadr.io.image_quality import MEASURED_SIDE, measure_image
from kadr.io.opened_image import OpenedImage
from kadr.io.storage import Location
from kadr.params import DecodingParams

Measure = Callable[[OpenedImage, Image.Image], dict[str, Any]]
"""Function that computes further columns from an open image and its upright RGB pixels."""


@dataclass(frozen=True)
class ImageScan:
    """Measurements of one image file.

    Attributes:
        status: ok, or the reason why the image is not used.
        sha256: SHA-256 of the file. None if the file cannot be read.
        bytes: size of the file in bytes.
        width: width of the upright image in pixels.
        height: height of the upright image in pixels.
        quality: fields of ImageQuality.
        extra: columns that the function `measure` of `scan_content` returned.
        faults: descriptions of faulty metadata that was ignored.
    """

    status: str
    sha256: str | None = None
    bytes: int | None = None
    width: int | None = None
    height: int | None = None
    quality: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)
    faults: tuple[str, ...] = ()


def scan_file(path: str, limits: DecodingParams, measure: Measure | None = None) -> ImageScan:
    """Read and scan one local image file. The status is `unreadable` if the file cannot be read.

    Args:
        path: path of the file.
        limits: settings of the decoder.
        measure: function that computes further columns, as in `scan_content`.
    """
    try:
        with Path(path).open("rb") as file:
            size = file.seek(0, 2)
            if size > limits.max_megabytes * 1_000_000:
                file.seek(0)
                return ImageScan("too_large", hashlib.file_digest(file, "sha256").hexdigest(), size)
            file.seek(0)
            content = file.read()
    except OSError:
        return ImageScan("unreadable")
    return scan_content(content, path, limits, measure)


def scan_content(content: bytes, path: Location, limits: DecodingParams, measure: Measure | None = None) -> ImageScan:
    """Scan the content of one image file.

    Args:
        content: bytes of the file.
        path: file name for error messages.
        limits: settings of the decoder.
        measure: function that computes further columns.
    """
    scan = ImageScan("ok", hashlib.sha256(content).hexdigest(), len(content))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            with open_image(content, path, limits) as image:
                width, height = image.size
                scan = replace(scan, width=width, height=height)
                image.reduce("RGB", MEASURED_SIDE)
                pixels = image.load_rgb()
                quality = vars(measure_image(pixels))
                extra = measure(image, pixels) if measure else {}
                scan = replace(scan, quality=quality, extra=extra, faults=tuple(image.faults))
        except UndecodableError as error:
            if error.size is not None:
                scan = replace(scan, width=error.size[0], height=error.size[1])
            return replace(scan, status=error.status)
    return replace(scan, faults=(*scan.faults, *(str(warning.message) for warning in caught if _is_fault(warning))))


class FaultCounts:
    """Counts of faulty metadata in images that are used, with one example for each kind of fault."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._examples: dict[str, str] = {}

    def add(self, path: str, faults: Iterable[str]) -> None:
        """Count the faults of one image."""
        for fault in set(faults):
            self._counts[fault] += 1
            self._examples.setdefault(fault, path)

    def messages(self) -> list[str]:
        """Return one message for each kind of fault."""
        return [
            f"{n:,} images have faulty metadata, e.g. {self._examples[fault]}: {fault}. The pixels are used."
            for fault, n in sorted(self._counts.items())
        ]


def _is_fault(warning: warnings.WarningMessage) -> bool:
    return not issubclass(warning.category, (Image.DecompressionBombWarning, DeprecationWarning))
