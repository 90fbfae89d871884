"""Create thumbnails as data URIs, so that a report does not depend on other files."""

import base64
import io
from pathlib import Path

from kadr.io.thumbnails import open_thumbnail

_THUMBNAIL_SIDE = 220


def thumbnail_data_uri(path: str) -> str:
    """Return a JPEG thumbnail of an image as a `data:` URI. The longer side has at most 220 pixels.

    Raises:
        InputError: The image is missing or cannot be decoded.
    """
    content = io.BytesIO()
    open_thumbnail(Path(path), _THUMBNAIL_SIDE).save(content, "JPEG", quality=80, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(content.getvalue()).decode("ascii")
