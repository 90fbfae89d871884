"""Create thumbnails for web pages and image grids."""

from PIL import Image

from kadr.errors import InputError
from kadr.io.image_decoding import decode_image
from kadr.io.storage import Location, read_bytes


def open_thumbnail(path: Location, side: int) -> Image.Image:
    """Read an image file and return an upright RGB thumbnail.

    Args:
        path: path or URI of the file.
        side: maximum length of the longer side in pixels.

    Raises:
        InputError: the file is missing or cannot be decoded.
    """
    try:
        content = read_bytes(path)
    except OSError as error:
        raise InputError(
            f"{path}: the image cannot be read ({error.strerror or error}). Restore the file, or index its folder "
            "again."
        ) from error
    thumbnail = decode_image(content, path, side, oversampling=1)
    thumbnail.thumbnail((side, side))
    return thumbnail
