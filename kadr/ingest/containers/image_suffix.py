"""Choose the suffix of an image file by its content."""

from kadr.io.image_formats import PREFIX_LENGTH, detect_format

_SUFFIXES = {"JPEG": ".jpg", "TIFF": ".tif", "JPEG2000": ".jp2", "HEIF": ".heic", "RAW": ".dng"}


def image_suffix(content: bytes) -> str:
    """Return the usual suffix of an image file, or "" if the content is not an image.

    >>> image_suffix(b"GIF89a"), image_suffix(b"<html>")
    ('.gif', '')
    """
    name = detect_format(content[:PREFIX_LENGTH])
    return _SUFFIXES.get(name, f".{name.lower()}") if name else ""
