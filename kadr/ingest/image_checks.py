"""Check image files: read and decode each file, compute hashes and quality measures, and assign a status."""

import hashlib
import os
import warnings
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from kadr.errors import InputError, UndecodableError
from kadr.io.image_decoding import open_image, upright_size
from kadr.io.image_quality import DRAFT_SIZE, measure_image
from kadr.progress import progress


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
    blur: float | None = None
    exposure: float | None = None
    status: str = "missing"


def list_images(source: str, folder: str, split: str) -> list[ImageFile]:
    """List the files in an image folder without reading their content. Hidden files are skipped.

    Args:
        source: path of the dataset folder.
        folder: path of the image folder, relative to the dataset folder.
        split: split that contains the images.

    Returns:
        Image files sorted by name, with the initial status `missing`.

    Raises:
        InputError: the image folder is missing or empty.
    """
    path = Path(source) / folder
    if not path.is_dir():
        raise InputError(
            f"The folder {path} does not exist. It must contain the {split} images. Add the folder, or correct "
            "ingest.source."
        )
    names = sorted(file.name for file in path.iterdir() if not file.name.startswith("."))
    if not names:
        raise InputError(f"The folder {path} is empty. It must contain the {split} images. Add the images.")
    return missing_images(source, folder, split, names)


def missing_images(source: str, folder: str, split: str, names: Iterable[str]) -> list[ImageFile]:
    """Return unchecked image files with the given names. Their initial status is `missing`."""
    return [ImageFile(name, str(PurePosixPath(source, folder, name)), split) for name in names]


def check_images(images: Sequence[ImageFile], max_pixels: int) -> list[ImageFile]:
    """Read, hash and decode all images in parallel threads.

    Args:
        images: unchecked image files, as returned by `list_images`.
        max_pixels: maximum width times height in pixels. Larger images are not decoded.

    Returns:
        The images in the same order, with size, hashes, quality measures and status. The status is ok, unreadable,
        empty_file, not_an_image, too_large, truncated or broken.
    """
    checked = []
    with (
        warnings.catch_warnings(),
        progress("check images", len(images)) as advance,
        ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        warnings.filterwarnings("ignore", module=r"PIL\.")  # the status reports damaged and oversized images
        for image in pool.map(lambda image: _check_image(image, max_pixels), images):
            checked.append(image)
            advance(1)
    return checked


def _check_image(image: ImageFile, max_pixels: int) -> ImageFile:
    """Hash and decode one image file. Set the status `unreadable` if the file cannot be opened or read."""
    try:
        with Path(image.path).open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            image = replace(image, sha256=sha256, bytes=file.tell())
            file.seek(0)
            return _measure(image, file, max_pixels)
    except OSError:
        return replace(image, status="unreadable")


def _measure(image: ImageFile, file: BinaryIO, max_pixels: int) -> ImageFile:
    """Add the size, perceptual hash, blur and exposure of the upright image, and set the status."""
    try:
        with open_image(file, image.path, max_pixels) as decoded:
            width, height = upright_size(decoded)
            image = replace(image, width=width, height=height)
            decoded.draft("L", DRAFT_SIZE)
            decoded.load()
            return replace(image, **vars(measure_image(decoded)), status="ok")
    except UndecodableError as error:
        if error.size is not None:
            image = replace(image, width=error.size[0], height=error.size[1])
        return replace(image, status=error.status)
