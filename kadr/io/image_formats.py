"""Recognise image files by their content, and list the supported formats and suffixes."""

IMAGE_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF", "JXL", "JPEG2000")
"""Names of the accepted formats in Pillow. For some other formats, Pillow runs external programs."""

IMAGE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff"),
    *(".avif", ".heic", ".heif", ".hif", ".jxl", ".jp2", ".j2k", ".jpf", ".jpx", ".j2c", ".jpc"),
    *(".dng", ".cr2", ".cr3", ".nef", ".nrw", ".arw", ".orf", ".rw2", ".raf", ".pef", ".srw"),
)
"""Suffixes of the supported formats, in lower case."""

PREFIX_LENGTH = 64
"""Number of bytes at the start of a file that `is_image` needs."""

_SIGNATURES = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"\xff\x0a": "JXL",
    b"\0\0\0\x0cJXL \r\n\x87\n": "JXL",
    b"\0\0\0\x0cjP  \r\n\x87\n": "JPEG2000",
    b"\xff\x4f\xff\x51": "JPEG2000",
    b"IIRO": "RAW",  # Olympus
    b"IIRS": "RAW",
    b"MMOR": "RAW",
    b"IIU\0": "RAW",  # Panasonic
    b"FUJIFILMCCD-RAW": "RAW",
}
_BRANDS = {
    "AVIF": {b"avif", b"avis"},
    "HEIF": {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"},
    "RAW": {b"crx "},  # Canon CR3
}


def detect_format(prefix: bytes) -> str | None:
    """Return the image format of a file: a name in IMAGE_FORMATS, or `RAW` for a camera raw file.

    A camera raw file based on TIFF is reported as TIFF.

    Args:
        prefix: first PREFIX_LENGTH bytes of the file.
    """
    for signature, name in _SIGNATURES.items():
        if prefix.startswith(signature):
            return name
    if prefix[:4] == b"RIFF" and prefix[8:12] == b"WEBP":
        return "WEBP"
    if prefix[4:8] == b"ftyp":
        return _detect_brand(prefix)
    if prefix[:2] == b"BM" and prefix[15:18] == b"\0\0\0" and prefix[14] in (12, 40, 52, 56, 64, 108, 124):
        return "BMP"
    return None


def register_format(name: str) -> None:
    """Import the Pillow plugin of an image format, if the format needs one.

    Args:
        name: name in IMAGE_FORMATS.

    Raises:
        ImportError: the package with the plugin is not installed.
    """
    if name == "HEIF":
        import pi_heif

        pi_heif.register_heif_opener(thumbnails=False)
    elif name == "JXL":
        from pillow_jxl import JpegXLImagePlugin

        JpegXLImagePlugin.DECODE_THREADS = 0  # images are decoded in parallel, with one thread each


def is_image(prefix: bytes) -> bool:
    """Return whether a file is an image in a supported format, based on its first PREFIX_LENGTH bytes."""
    return detect_format(prefix) is not None


def _detect_brand(prefix: bytes) -> str | None:
    """Return the format of an ISO media file. The major brand comes first, so that it decides."""
    size = int.from_bytes(prefix[:4], "big")
    brands = [prefix[start : start + 4] for start in (8, *range(16, min(size, len(prefix)) - 3, 4))]
    for brand in brands:
        for name, known in _BRANDS.items():
            if brand in known:
                return name
    return "HEIF" if brands[0] in (b"mif1", b"msf1") else None
