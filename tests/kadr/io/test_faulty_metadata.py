"""Tests of images with undamaged pixels and faulty metadata: the image is used, and the fault is reported."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kadr.io.image_scan import FaultCounts, scan_content, scan_file
from kadr.params import DecodingParams

LIMITS = DecodingParams()


def scene(file_format: str, **options: object) -> bytes:
    coarse = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(coarse).resize((160, 120), Image.Resampling.BICUBIC).save(file, file_format, **options)
    return file.getvalue()


def jpeg_with(marker: int, payload: bytes) -> bytes:
    """Return a JPEG with a segment after the start marker."""
    content = scene("JPEG")
    return content[:2] + struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload + content[2:]


def png_with(kind: bytes, data: bytes, checksum: int | None = None) -> bytes:
    """Return a PNG with a chunk after the header."""
    content = scene("PNG")
    checksum = zlib.crc32(kind + data) if checksum is None else checksum
    return content[:33] + struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum) + content[33:]


def ratio_tags() -> bytes:
    """Return an EXIF block with orientation 6 and with a ratio in place of a text, which Pillow cannot write."""
    entry = struct.Struct("<HHI4s")
    tags = entry.pack(0x0112, 3, 1, b"\6\0\0\0") + entry.pack(0x0131, 5, 1, struct.pack("<I", 38))
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, 2) + tags + bytes(4) + struct.pack("<II", 72, 1)


EMPTY_EXIF = b"Exif\0\0II*\0\x08\0\0\0" + bytes(6)
LONG_TEXT = b'{"node": "sampler"}, ' * 200_000


@pytest.mark.parametrize(
    ("content", "faults"),
    [
        (jpeg_with(0xEE, b"Adobe\0"), ("incomplete Adobe block",)),
        (jpeg_with(0xE0, b"JFIF\0\1"), ("incomplete JFIF block",)),
        (jpeg_with(0xE2, b"ICC_PROFILE\0\x09\x02" + bytes(40)), ("incomplete colour profile",)),
        (jpeg_with(0xED, b"Photoshop 3.0\x008BIM\x03\xed\0\0\0\0\0\4\0\1"), ()),
        (jpeg_with(0xE2, b"MPF\0II*\0\x08\0\0\0"), ()),
        (jpeg_with(0xE1, b"Exif\0\0\xff\xff"), ()),
        (jpeg_with(0xFE, b"caf\xe9"), ()),
        (scene("JPEG") + bytes(5000), ()),
        (png_with(b"zTXt", b"workflow\0\0" + zlib.compress(LONG_TEXT)), ()),
        (png_with(b"tEXt", b"workflow\0" + LONG_TEXT), ()),
        (png_with(b"iCCP", b"icc\0\0not zlib"), ("damaged colour profile",)),
        (png_with(b"eXIf", b"\0\x08\0\2"), ()),
        (png_with(b"tEXt", b"a\0b", checksum=1), ("damaged chunk b'tEXt'",)),
        (scene("JPEG", icc_profile=b"no profile"), ("colour profile that is damaged or for another colour space",)),
        (
            scene("AVIF", exif=EMPTY_EXIF).replace(EMPTY_EXIF[6:], EMPTY_EXIF[6:10] + b"\xff\xff\xff\0" + bytes(6)),
            ("Corrupt EXIF data.  Expecting to read 2 bytes but only got 0. ",),
        ),
    ],
)
def test_an_image_with_faulty_metadata_is_used(content: bytes, faults: tuple[str, ...]) -> None:
    scan = scan_content(content, "a", LIMITS)
    assert (scan.status, scan.width, scan.height) == ("ok", 160, 120)
    assert scan.faults == faults


def test_faulty_metadata_does_not_change_the_pixels() -> None:
    plain = scan_content(scene("JPEG"), "a", LIMITS)
    for content in (jpeg_with(0xEE, b"Adobe\0"), jpeg_with(0xE1, b"Exif\0\0II*\0"), scene("JPEG") + b"\xff\xd8\0"):
        assert scan_content(content, "a", LIMITS).quality == plain.quality


def test_an_orientation_is_used_although_pillow_cannot_write_the_other_tags() -> None:
    scan = scan_content(jpeg_with(0xE1, ratio_tags()), "a", LIMITS)
    assert (scan.status, scan.width, scan.height) == ("ok", 120, 160)


def test_faults_are_counted_with_an_example() -> None:
    counts = FaultCounts()
    counts.add("a.jpg", ["incomplete Adobe block"])
    counts.add("b.jpg", ["incomplete Adobe block", "incomplete colour profile"])
    assert counts.messages() == [
        "2 images have faulty metadata, e.g. a.jpg: incomplete Adobe block. The pixels are used.",
        "1 images have faulty metadata, e.g. b.jpg: incomplete colour profile. The pixels are used.",
    ]


@pytest.mark.parametrize(("kind", "status"), [(b"IDAT", "broken"), (b"PLTE", "broken"), (b"ABCD", "broken")])
def test_a_png_with_a_damaged_critical_chunk_is_broken(kind: bytes, status: str) -> None:
    assert scan_content(png_with(kind, b"123", checksum=1), "a", LIMITS).status == status


def test_a_scan_keeps_to_its_limits(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(scene("PNG"))
    assert scan_file(str(path), LIMITS).status == "ok"
    limits = [
        DecodingParams(max_megabytes=0.001),
        DecodingParams(max_pixels=160 * 120 - 1),
        DecodingParams(max_aspect_ratio=1.3),
    ]
    assert [scan_file(str(path), limit).status for limit in limits] == ["too_large"] * 3
    assert scan_file(str(tmp_path / "none.png"), LIMITS).status == "unreadable"
