"""Read the camera, and the title, description and keywords of an image, from EXIF, IPTC, XMP and PNG metadata.

Programs and cameras write the same text in several places, so repeated texts are returned once. Names that cameras
write as the description of every image, such as "OLYMPUS DIGITAL CAMERA", are ignored.
"""

import html
import re
from collections.abc import Iterator

from PIL import ExifTags, Image, ImageFile, IptcImagePlugin

from kadr.collection.capture_time import read_ifd
from kadr.io.texts import normalise_whitespace

MAX_LENGTH = 2000
"""Maximum number of characters of a description. Longer descriptions are cut."""

_MAX_CAMERA_LENGTH = 100
_MAX_PACKET = 1_000_000  # number of bytes of an XMP packet that are searched
_MAX_VALUES = 200  # maximum number of texts in a description

_XP_TAGS = tuple(getattr(ExifTags.Base, name) for name in ("XPTitle", "XPSubject", "XPComment", "XPKeywords"))
_IPTC_TAGS = ((2, 5), (2, 105), (2, 120), (2, 25))  # object name, headline, caption, keywords
_IPTC_CHARSET = (1, 90)
_IPTC_UTF_8 = b"\x1b%G"
_PNG_KEYS = ("Title", "Description")
_COMMENT_ENCODINGS = {
    b"ASCII\0\0\0": "utf-8",
    b"UNICODE\0": "utf-16",
    b"JIS\0\0\0\0\0": "iso2022_jp",
    bytes(8): "utf-8",
}

_XMP_PROPERTIES = ("dc:title", "dc:description", "dc:subject")
_MAX_PROPERTIES = 20  # maximum number of elements per property; a valid packet has one
_XMP_ITEM = re.compile(r"<rdf:li\b[^<>]*>([^<]*)</rdf:li\s*>")
_XMP_ATTRIBUTE = re.compile(r"""\bdc:(?:title|description)\s*=\s*(?:"([^"<]*)"|'([^'<]*)')""")

_BOILERPLATE = re.compile(
    r"(?:(?:olympus|minolta|konica minolta|panasonic|pentax|ricoh|kodak|vivitar|sanyo|polaroid|digital|my)?\s*"
    r"(?:digital|still|digital still)?\s*(?:camera|picture)s?|sony dsc|samsung(?: (?:camera )?pictures)?|<?digimax.*|"
    r"dcim.*|dsc|exif[ _]jpeg[ _]picture|jpeg|image|picture|photo|default|untitled|ascii|unicode|binary comment|"
    r"created with .*|made with .*|lead technologies.*|<?my great-picture>?|filter: .*|"
    # names of the modes of Huawei, Honor and other phones
    r"_?(?:bst|btf|burst|cart|cof|dav|edf|fbt|fpbt|fptbty|hdr(?:pl)?|mde|nor|oznor(?:co)?|ozedf|ptr|ptroznor|rbt|"
    r"rhdr|rpt|rptnb|rptoznor|sdr|soc|vivo|kirin|quick_?shot)(?:_(?:vivid|soft|norm|hdr))?_?)",
    re.IGNORECASE,
)
_BASE64 = r"[A-Za-z0-9_.+/=-]{40,}"
_MACHINE_DATA = re.compile(rf"\{{.*\}}|<.*>|{_BASE64}(?:\s+{_BASE64})*|[\d\W]*", re.DOTALL)  # JSON, XML, numbers


def read_camera(exif: Image.Exif | None) -> str | None:
    """Return the make and model of the camera, or None if they are unknown. The make is not repeated.

    >>> exif = Image.Exif()
    >>> exif[0x10F], exif[0x110] = "Canon", "Canon EOS 5D"
    >>> read_camera(exif)
    'Canon EOS 5D'
    """
    make, model = (_clean(_read_tag(exif, tag)) for tag in (ExifTags.Base.Make, ExifTags.Base.Model))
    brand = make.split()[0].lower() if make else ""
    name = model if brand and model.lower().startswith(brand) else f"{make} {model}".strip()
    return name[:_MAX_CAMERA_LENGTH].strip() or None


def read_description(exif: Image.Exif | None, xmp: bytes | str | None, image: Image.Image) -> str | None:
    """Return the title, description and keywords of an image as one text, or None if there are none.

    Args:
        exif: EXIF metadata of the image, or None.
        xmp: XMP packet of the image, or None.
        image: image that Pillow opened, for IPTC and PNG metadata.

    Returns:
        The texts, separated by "; ", without repetitions and at most MAX_LENGTH characters.
    """
    texts: list[str] = []
    seen: set[str] = set()
    for value in _values(exif, xmp, image):
        text = _clean(value)
        if text and text.lower() not in seen and not _BOILERPLATE.fullmatch(text) and not _MACHINE_DATA.fullmatch(text):
            seen.add(text.lower())
            texts.append(text)
        if len(texts) >= _MAX_VALUES:
            break
    return "; ".join(texts)[:MAX_LENGTH].strip() or None


def _values(exif: Image.Exif | None, xmp: bytes | str | None, image: Image.Image) -> Iterator[object]:
    yield from _xmp_values(xmp)
    yield from _iptc_values(image)
    yield _read_tag(exif, ExifTags.Base.ImageDescription)
    for tag in _XP_TAGS:
        yield from _decode_xp(_read_tag(exif, tag)).split(";")
    yield _decode_comment(read_ifd(exif, ExifTags.IFD.Exif).get(ExifTags.Base.UserComment))
    for key in _PNG_KEYS:
        yield image.info.get(key)


def _xmp_values(xmp: bytes | str | None) -> Iterator[str]:
    """Yield title, description and keywords of an XMP packet, which may be damaged."""
    packet = (xmp or b"")[:_MAX_PACKET]
    if isinstance(packet, bytes):
        encoding = "utf-16" if packet[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8"
        packet = packet.decode(encoding, "replace")
    for content in _xmp_properties(packet):
        items = _XMP_ITEM.findall(content) or ([] if "<" in content else [content])
        yield from map(html.unescape, items)
    for groups in _XMP_ATTRIBUTE.findall(packet):
        yield html.unescape("".join(groups))


def _xmp_properties(packet: str) -> Iterator[str]:
    """Yield the content of the elements for title, description and keywords."""
    for name in _XMP_PROPERTIES:
        start = 0
        for _ in range(_MAX_PROPERTIES):
            opening = packet.find(f"<{name}", start)
            start = packet.find(">", opening) + 1
            end = packet.find(f"</{name}", start)
            if opening < 0 or start == 0 or end < 0:
                break
            yield packet[start:end]
            start = end


def _iptc_values(image: Image.Image) -> Iterator[str]:
    """Yield title, caption and keywords of the IPTC block of a JPEG or TIFF, which may be damaged."""
    if not isinstance(image, ImageFile.ImageFile):
        return
    try:
        fields = IptcImagePlugin.getiptcinfo(image) or {}
    except Exception:  # Pillow raises many types of exceptions for damaged metadata
        return
    is_utf_8 = fields.get(_IPTC_CHARSET) == _IPTC_UTF_8
    for tag in _IPTC_TAGS:
        values = fields.get(tag, [])
        for value in values if isinstance(values, list) else [values]:
            yield _decode(value, ("utf-8",) if is_utf_8 else ("utf-8", "cp1252"))


def _read_tag(exif: Image.Exif | None, tag: int) -> object:
    try:
        return None if exif is None else exif.get(tag)
    except Exception:  # Pillow raises many types of exceptions for damaged metadata
        return None


def _decode_xp(value: object) -> str:
    """Decode a tag of Windows Explorer: UTF-16 without a byte order mark, as bytes or as a tuple of integers."""
    try:
        content = bytes(value) if isinstance(value, bytes | tuple) else b""
    except (TypeError, ValueError):
        return ""
    return content.decode("utf-16-le", "ignore")


def _decode_comment(value: object) -> str:
    """Decode an EXIF user comment, which starts with eight bytes that name the encoding."""
    if not isinstance(value, bytes):
        return value if isinstance(value, str) else ""
    encoding, text = _COMMENT_ENCODINGS.get(value[:8]), value[8:]
    if encoding is None:
        return ""
    if encoding == "utf-16" and text[:2] not in (b"\xff\xfe", b"\xfe\xff"):
        is_big_endian = len(set(text[::2])) < len(set(text[1::2]))  # the high bytes differ less than the low bytes
        encoding = "utf-16-be" if is_big_endian else "utf-16-le"
    return text.decode(encoding, "ignore")


def _decode(value: object, encodings: tuple[str, ...]) -> str:
    if not isinstance(value, bytes):
        return ""
    for encoding in encodings:
        try:
            return value.decode(encoding)
        except UnicodeDecodeError:
            continue
    return value.decode(encodings[0], "ignore")


def _clean(value: object) -> str:
    """Return a text of the metadata without invisible characters and line breaks."""
    if isinstance(value, bytes):
        value = _decode(value, ("utf-8", "cp1252"))
    if not isinstance(value, str):
        return ""
    text = value[: 2 * MAX_LENGTH].split("\0")[0].encode("utf-8", "ignore").decode("utf-8")
    if text.count("\ufffd") > len(text) // 10:  # not a text
        return ""
    return normalise_whitespace(text)
