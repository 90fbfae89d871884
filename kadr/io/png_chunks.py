"""Split a PNG file into its image data and its metadata."""

import struct
import zlib
from dataclasses import dataclass

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_KEPT = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
"""Chunks that determine the pixels."""

_XMP_KEYWORD = b"XML:com.adobe.xmp\0"
_MAX_METADATA = 16 * 1024 * 1024  # bytes of a decompressed chunk


@dataclass(frozen=True)
class PngChunks:
    """Parts of a PNG file.

    Attributes:
        pixels: the file without metadata, for the decoder.
        exif: EXIF block, from the TIFF header onwards.
        xmp: XMP packet.
        icc_profile: colour profile.
        damage: description of damaged image data, or None.
        faults: descriptions of faulty metadata.
    """

    pixels: bytes
    exif: bytes | None
    xmp: bytes | None
    icc_profile: bytes | None
    damage: str | None
    faults: tuple[str, ...]


def split_png(content: bytes) -> PngChunks:
    """Split a PNG file into its image data and its metadata. Large or damaged texts and profiles are left out."""
    kept, faults, damage = [_SIGNATURE], [], None
    metadata: dict[bytes, bytes] = {}
    position = len(_SIGNATURE)
    while position + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, position)
        end = position + 12 + length
        is_whole = end <= len(content) and _has_valid_crc(content, position, end)
        if kind in _KEPT:
            kept.append(content[position:end])
            if not is_whole and end <= len(content):
                damage = f"the checksum of chunk {kind.decode()} is wrong"
        elif kind[:1].isupper():
            damage = damage or f"unknown chunk {kind!r}"
        elif not is_whole:
            faults.append(f"damaged chunk {kind!r}")
        elif kind in (b"iCCP", b"eXIf", b"iTXt"):
            data = content[position + 8 : end - 4]
            if kind != b"iTXt" or data.startswith(_XMP_KEYWORD):
                metadata.setdefault(kind, data)
        position = end
        if kind == b"IEND":
            break
    icc_profile = _inflate(metadata[b"iCCP"].partition(b"\0")[2][1:]) if b"iCCP" in metadata else None
    if b"iCCP" in metadata and icc_profile is None:
        faults.append("damaged colour profile")
    xmp = _text(metadata[b"iTXt"]) if b"iTXt" in metadata else None
    return PngChunks(b"".join(kept), metadata.get(b"eXIf"), xmp, icc_profile, damage, tuple(faults))


def _has_valid_crc(content: bytes, start: int, end: int) -> bool:
    return zlib.crc32(memoryview(content)[start + 4 : end - 4]) == int.from_bytes(content[end - 4 : end], "big")


def _inflate(data: bytes) -> bytes | None:
    """Decompress metadata. Return None if the data is damaged or too large."""
    inflater = zlib.decompressobj()
    try:
        inflated = inflater.decompress(data, _MAX_METADATA)
    except zlib.error:
        return None
    return inflated if inflater.eof else None


def _text(chunk: bytes) -> bytes | None:
    """Return the text of an iTXt chunk: keyword, compression flag and method, language, translated keyword, text."""
    fields = chunk[len(_XMP_KEYWORD) :]
    text = fields[2:].split(b"\0", 2)[-1]
    return _inflate(text) if fields[:1] == b"\1" else text
