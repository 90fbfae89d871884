"""The library room's small pictures of photos, for pages and grids."""

import io

from PIL import Image, UnidentifiedImageError

from kadr.errors import InputError
from kadr.io.image_decoding import FORMATS, upright
from kadr.io.storage import Location, read_bytes


def open_thumbnail(path: Location, side: int) -> Image.Image:
    """The photo at the path or URI `path`, upright, RGB, its longer side at most `side` pixels.

    Raises:
        InputError: the file is missing or cannot be decoded.
    """
    try:
        with Image.open(io.BytesIO(read_bytes(path)), formats=FORMATS) as photo:
            photo.draft("RGB", (side, side))
            thumbnail = upright(photo).convert("RGB")
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise InputError(
            f"{path}: cannot show the photo ({error}); was it moved since? Restore it, or index anew"
        ) from error
    thumbnail.thumbnail((side, side))
    return thumbnail
