"""Fuzz tests of the decoder: damaged image files raise only UndecodableError, and no damage is hidden.

A mutation of compressed pixels can give another valid image, so not every change can be detected. The tests check that
the decoder never fails in another way, that a cut file never shows other pixels, that PNG checksums detect every
change, and that metadata does not change the pixels.
"""

import io
import random
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pillow_jxl  # noqa: F401  # registers the encoder
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from kadr.errors import UndecodableError
from kadr.io.bounded_decoding import scan_bounded
from kadr.io.exif_orientation import find_orientation
from kadr.io.image_decoding import decode_image, open_image
from kadr.io.image_scan import scan_content, scan_file
from kadr.io.jpeg_segments import split_jpeg
from kadr.io.jxl_header import read_jxl_size
from kadr.io.png_chunks import split_png
from kadr.params import DecodingParams
from tests.kadr.io.test_image_formats import HEIC

pytestmark = pytest.mark.filterwarnings("ignore")  # Pillow warns about some kinds of damage

LIMITS = DecodingParams(max_pixels=1_000_000, max_megabytes=10)
N_MUTATIONS = 5000
MAX_SECONDS = 60


def draw() -> Image.Image:
    coarse = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((64, 48), Image.Resampling.BICUBIC)


def encoded(image: Image.Image, file_format: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def make_files() -> dict[str, bytes]:
    """Return 20 image files of different formats and modes."""
    rgb, grey = draw(), draw().convert("L")
    rgba = rgb.convert("RGBA")
    rgba.putalpha(Image.linear_gradient("L").resize(rgb.size))
    exif = Image.Exif()
    exif[0x010F], exif[0x0132] = "Maker", "2020:01:02 03:04:05"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    return {
        "rgb.jpg": encoded(rgb, "JPEG"),
        "grey.jpg": encoded(grey, "JPEG"),
        "cmyk.jpg": encoded(rgb.convert("CMYK"), "JPEG"),
        "progressive.jpg": encoded(rgb, "JPEG", progressive=True, exif=exif, icc_profile=profile, comment=b"comment"),
        "rgb.png": encoded(rgb, "PNG", exif=exif, icc_profile=profile),
        "rgba.png": encoded(rgba, "PNG"),
        "palette.png": encoded(rgb.quantize(16), "PNG", transparency=3),
        "deep.png": encoded(deep, "PNG"),
        "bits.png": encoded(rgb.convert("1"), "PNG"),
        "lossy.webp": encoded(rgb, "WEBP", exif=exif),
        "lossless.webp": encoded(rgba, "WEBP", lossless=True),
        "still.gif": encoded(rgb, "GIF"),
        "moving.gif": encoded(rgb, "GIF", save_all=True, append_images=[rgb.rotate(90)]),
        "rgb.bmp": encoded(rgb, "BMP"),
        "rgb.tif": encoded(rgb, "TIFF"),
        "lzw.tif": encoded(rgb, "TIFF", compression="tiff_lzw"),
        "float.tif": encoded(Image.fromarray(np.asarray(grey).astype(np.float32) / 255), "TIFF"),
        "rgb.avif": encoded(rgb, "AVIF", exif=exif),
        "rgb.jp2": encoded(rgb, "JPEG2000"),
        "rgb.jxl": encoded(rgb, "JXL"),
    }


FILES = make_files()
PIXELS = {name: decode_image(content, name).tobytes() for name, content in FILES.items()}


def status(content: bytes, name: str) -> str:
    """Return `same`, `changed`, `fault` (changed, with a reported fault) or the status of an undecodable image."""
    try:
        with open_image(content, name, LIMITS) as image:
            pixels = image.load_rgb().tobytes()
            image.read_exif()
    except UndecodableError as error:
        return error.status
    if pixels == PIXELS[name]:
        return "same"
    return "fault" if image.faults else "changed"


def mutate(content: bytes, rng: random.Random) -> bytes:
    """Return a copy with one to five changed, removed or added groups of bytes."""
    mutated = bytearray(content)
    for _ in range(rng.choice((1, 1, 5))):
        position = rng.randrange(len(mutated))
        match rng.randrange(4):
            case 0:
                mutated[position] ^= 1 << rng.randrange(8)
            case 1:
                mutated[position] = rng.choice((0, 127, 128, 255, rng.randrange(256)))
            case 2:
                del mutated[position : position + rng.randrange(1, 5)]
            case _:
                mutated[position:position] = rng.randbytes(rng.randrange(1, 5))
    return bytes(mutated)


def test_mutated_files_raise_no_other_exception() -> None:
    assert len(FILES) == 20
    rng, start = random.Random(0), time.monotonic()
    counts = {
        name: [status(mutate(FILES[name], rng), name) for _ in range(N_MUTATIONS // len(FILES))] for name in FILES
    }
    assert time.monotonic() - start < MAX_SECONDS
    for name, statuses in counts.items():
        assert set(statuses) != {"same"}, name
        if name.endswith(".png"):
            assert "changed" not in statuses, name  # the checksums of PNG detect every change


def test_mutated_heic_files_never_end_the_scan(tmp_path: Path) -> None:
    """The decoder of HEIC files crashes for some damaged files, so it runs in worker processes."""
    rng = random.Random(0)
    paths = [tmp_path / f"{n}.heic" for n in range(150)]
    for path in paths:
        path.write_bytes(mutate(HEIC, rng))
    scans = scan_bounded(scan_file, [str(path) for path in paths], LIMITS)
    statuses = {scan.status for scan in scans}
    assert {"ok", "broken"} <= statuses <= {"ok", "broken", "not_an_image", "truncated", "too_large"}


@pytest.mark.parametrize("name", FILES)
def test_a_cut_file_never_shows_other_pixels(name: str) -> None:
    content = FILES[name]
    rng = random.Random(1)
    lengths = [
        *range(1, 30),
        *(len(content) - n for n in range(1, 12)),
        *(rng.randrange(len(content)) for _ in range(30)),
    ]
    for length in lengths:
        assert status(content[:length], name) not in ("changed", "fault"), length


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith((".jpg", ".png"))])
def test_a_file_with_zeros_at_the_end_never_shows_other_pixels(name: str) -> None:
    content, rng = FILES[name], random.Random(2)
    for _ in range(30):
        length = rng.randrange(len(content))
        assert status(content[:length] + bytes(len(content) - length), name) not in ("changed", "fault"), length


def jpeg_with_metadata(metadata: bytes) -> bytes:
    content = FILES["rgb.jpg"]
    segments = [b"\xff\xe1" + struct.pack(">H", len(metadata) + 8) + b"Exif\0\0" + metadata]
    segments += [b"\xff\xfe" + struct.pack(">H", len(metadata) + 2) + metadata]
    return content[:2] + b"".join(segments) + content[2:]


def png_with_metadata(metadata: bytes) -> bytes:
    content = FILES["rgba.png"]
    chunks = [
        struct.pack(">I", len(metadata)) + kind + metadata + struct.pack(">I", zlib.crc32(kind + metadata))
        for kind in (b"eXIf", b"tEXt", b"iTXt", b"tIME", b"pHYs", b"gAMA")
    ]
    return content[:33] + b"".join(chunks) + content[33:]


@pytest.mark.parametrize(("build", "name"), [(jpeg_with_metadata, "rgb.jpg"), (png_with_metadata, "rgba.png")])
@settings(max_examples=150, deadline=None)
@given(metadata=st.one_of(st.binary(max_size=200), st.binary(max_size=200).map(lambda data: b"II*\0\x08\0\0\0" + data)))
def test_metadata_never_changes_the_pixels(build: Callable[[bytes], bytes], name: str, metadata: bytes) -> None:
    tag = find_orientation(metadata)
    if tag is None or tag.value == 1:
        assert status(build(metadata), name) == "same"


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([content[:40] for content in FILES.values()] + [b"IIRO", b"FUJIFILMCCD-RAW", b"\xff\xd8\xff"]),
    st.binary(max_size=300),
)
def test_random_bytes_after_a_signature_are_not_decoded(prefix: bytes, rest: bytes) -> None:
    scan = scan_content(prefix + rest, "a", LIMITS)
    assert scan.status in ("ok", "truncated", "broken", "not_an_image", "too_large", "too_slow")


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_parsers_accept_any_bytes(content: bytes) -> None:
    split_jpeg(b"\xff\xd8" + content, 10)
    split_png(b"\x89PNG\r\n\x1a\n" + content)
    find_orientation(b"II*\0" + content)
    read_jxl_size(b"\xff\x0a" + content)
    read_jxl_size(b"\0\0\0\x0cJXL \r\n\x87\n" + content)
