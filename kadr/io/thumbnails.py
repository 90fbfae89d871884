"""Create thumbnails for web pages and image grids."""

from PIL import Image, ImageDraw

from kadr.errors import InputError
from kadr.io.image_decoding import KNOWN_IMAGE_LIMITS, open_image
from kadr.io.storage import Location, read_bytes

_PLACEHOLDER, _LINE = (226, 226, 226), (150, 150, 150)


def thumbnail_or_placeholder(path: Location, side: int) -> Image.Image:
    """Return a thumbnail, or a placeholder for an image that exists only as a vector or cannot be decoded."""
    try:
        return open_thumbnail(path, side)
    except InputError:
        return draw_placeholder(side)


def draw_placeholder(side: int) -> Image.Image:
    """Draw a grey picture (3 : 2) of a frame with a diagonal line. The longer side has `side` pixels."""
    size = (side, side * 2 // 3)
    picture = Image.new("RGB", size, _PLACEHOLDER)
    draw = ImageDraw.Draw(picture)
    margin = side // 8
    corners = (margin, margin, size[0] - margin, size[1] - margin)
    draw.rectangle(corners, outline=_LINE, width=max(1, side // 100))
    draw.line(corners, fill=_LINE, width=max(1, side // 100))
    return picture


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
    return make_thumbnail(content, path, side)


def make_thumbnail(content: bytes, path: Location, side: int) -> Image.Image:
    """Decode the content of an image file and return an upright RGB thumbnail, as in `open_thumbnail`.

    Raises:
        UndecodableError: the image cannot be decoded.
    """
    with open_image(content, path, KNOWN_IMAGE_LIMITS) as image:
        image.reduce("RGB", side)
        thumbnail = image.load_rgb()
    thumbnail.thumbnail((side, side))
    return thumbnail
