"""Create thumbnails as data URIs, so that a report does not depend on other files."""

import base64
import io
from pathlib import Path

from kadr.io.thumbnails import thumbnail_or_placeholder

_THUMBNAIL_SIDE = 220


def thumbnail_data_uri(path: str) -> str:
    """Return a JPEG thumbnail of an image as a `data:` URI. The longer side has at most 220 pixels.

    An image that exists only as a vector, or cannot be decoded, is shown as a placeholder.
    """
    content = io.BytesIO()
    thumbnail_or_placeholder(Path(path), _THUMBNAIL_SIDE).save(content, "JPEG", quality=80, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(content.getvalue()).decode("ascii")
