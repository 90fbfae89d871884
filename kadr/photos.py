"""The library room's reading of one photo: its bytes checked against ingest's, upright, in RGB."""

import hashlib
import io
from pathlib import Path

from PIL import Image, ImageOps

from kadr.errors import InputError


def read_photo(path: Path, sha256: str) -> Image.Image:
    """The photo at `path` with its EXIF orientation applied, in RGB.

    Args:
        path: the file.
        sha256: of the bytes that ingest saw.

    Raises:
        InputError: where the file is gone, has changed since ingest, or does not decode.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path}: the photo cannot be read ({error.strerror}); restore it or run `dvc repro`"
        ) from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise InputError(f"{path}: the photo has changed since ingest; run `dvc repro` to take in what it is now")
    try:
        with Image.open(io.BytesIO(content)) as photo:
            return ImageOps.exif_transpose(photo).convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: the photo does not decode ({error}); run `dvc repro` to set it aside") from error
