"""Tests of the supported image formats: detection by content, decoding, size limits and camera raw previews."""

import base64
import io
import struct

import numpy as np
import pillow_jxl  # noqa: F401  # registers the encoder
import pytest
from PIL import Image

from kadr.errors import UndecodableError
from kadr.io.image_decoding import decode_image, is_image, open_image
from kadr.io.image_formats import PREFIX_LENGTH, detect_format
from kadr.io.jxl_header import read_jxl_size
from kadr.params import DecodingParams

# A HEIC image of 64 x 48 pixels with an EXIF orientation of 6, which readers of HEIC ignore. Pillow cannot write HEIC.
HEIC = base64.b85decode(
    b"0000SW^{RQXk}?*00000ZE0pPXk}?*ZE0a<0005LZDn*}000000000XXk=`10000000000aA{+700000000000000000000G-+&a"
    b"V*mgE07O6l0ssL300001;s5~v00000005-`0ssI200M^q0RR9100000L;wH)IB98aW&i*H00062000$fZf0cy000000RRAKc4ILB"
    b"0000LX>Mj^0ssI300IC2MR;ju000004sdC7Z2$lO00031008}IaB^?}007--aAR)(004Gqc4I>U18@KU0FVFx0000U@BsY%`1k+-"
    b"4+CHT0RR|40Sp2E{{wIU00RJ!0009300RIXx&lC90096hLID8-Z~y=U0FVFx0{{R603M(qfd!W8<fgf}2xu@M00096AOHXZ03l)k"
    b"0RRR>0l{;?i2wiq6Ju{|a&BX6cmM$a4FCp!0000KX>)L8000000000$0000$0000eV{Bn?0000$000010000m000010000000002"
    b"|NsB+000020000GaA|mH000000|*ER0000OX>e^}0000000001009Mo0s{qv0000QX>w&|000000000EV`Ot<00IC3009610P$^P"
    b"VRQfh0HG)WuUO{&M)*UQTCS9k-!)adNpGGX^PszESsQ}Oh~2V?+<3<mr=R$oO(grmX~WKhM>2jf-P_J31jO)@MXc}Ict}FeuLCK`"
    b"n5$m70^7q_1l4P}E(oR<C=J<B7X*yVLDxoH^Oq4$a94gio!QUx)mB9)xY*YyU-I*?FE5*`akpX-X*eC%e~|Jj3R~f2ECp%~{p=$?"
    b"H{r2I@Jzk{000I>cxh$;08LE*DgXcg2mk^B5&#1L000311^@s7G5`Vq000yK001Tc0000oFfuecFf}?bF(5H8Ix#UiF){!"
)


def scene(size: tuple[int, int] = (64, 48)) -> Image.Image:
    coarse = np.random.default_rng(1).integers(0, 256, (3, 4, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def encoded(image: Image.Image, file_format: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def tag(number: int, kind: str, *values: int | bytes) -> tuple[int, int, int, bytes]:
    """Return the number, type, count and data of a TIFF tag."""
    code, letter = {"byte": (1, "B"), "text": (2, "s"), "short": (3, "H"), "long": (4, "I"), "signed": (10, "ii")}[kind]
    if kind == "text":
        return number, code, len(values[0]), values[0]
    if kind == "signed":
        return number, code, len(values), b"".join(struct.pack("<ii", value, 1) for value in values)
    return number, code, len(values), struct.pack(f"<{len(values)}{letter}", *values)


def directory(offset: int, tags: list[tuple[int, int, int, bytes]]) -> bytes:
    """Return a TIFF directory that starts at an offset, followed by its data."""
    entries, data = b"", b""
    start = offset + 2 + 12 * len(tags) + 4
    for number, code, count, value in tags:
        place = value.ljust(4, b"\0") if len(value) <= 4 else struct.pack("<I", start + len(data))
        entries += struct.pack("<HHI", number, code, count) + place
        data += b"" if len(value) <= 4 else value
    return struct.pack("<H", len(tags)) + entries + bytes(4) + data


def dng(preview: bytes, preview_size: tuple[int, int], orientation: int, side: int = 64) -> bytes:
    """Return a camera raw file with a preview and with white sensor data of side x side pixels."""
    sensor = np.full((side, side), 60000, np.uint16).tobytes()

    def directories(preview_start: int, sensor_start: int, sub_start: int) -> tuple[bytes, bytes]:
        width, height = preview_size
        main = [
            *(tag(254, "long", 1), tag(256, "long", width), tag(257, "long", height), tag(258, "short", 8, 8, 8)),
            *(tag(259, "short", 7), tag(262, "short", 6), tag(271, "text", b"Maker\0"), tag(272, "text", b"Model\0")),
            *(tag(273, "long", preview_start), tag(274, "short", orientation), tag(277, "short", 3)),
            *(tag(278, "long", height), tag(279, "long", len(preview)), tag(330, "long", sub_start)),
            *(tag(50706, "byte", 1, 4, 0, 0), tag(50721, "signed", 1, 0, 0, 0, 1, 0, 0, 0, 1)),
        ]
        raw = [
            *(tag(254, "long", 0), tag(256, "long", side), tag(257, "long", side), tag(258, "short", 16)),
            *(tag(259, "short", 1), tag(262, "short", 32803), tag(273, "long", sensor_start), tag(277, "short", 1)),
            *(tag(278, "long", side), tag(279, "long", len(sensor))),
            *(tag(33421, "short", 2, 2), tag(33422, "byte", 0, 1, 1, 2)),
        ]
        return directory(8, main), directory(sub_start, raw)

    main, raw = directories(0, 0, 0)
    sub_start = 8 + len(main)
    preview_start = sub_start + len(raw)
    main, raw = directories(preview_start, preview_start + len(preview), sub_start)
    return b"II*\0" + struct.pack("<I", 8) + main + raw + preview + sensor


FILES = {
    "JPEG": encoded(scene(), "JPEG"),
    "PNG": encoded(scene(), "PNG"),
    "WEBP": encoded(scene(), "WEBP"),
    "GIF": encoded(scene(), "GIF"),
    "BMP": encoded(scene(), "BMP"),
    "TIFF": encoded(scene(), "TIFF"),
    "AVIF": encoded(scene(), "AVIF"),
    "HEIF": HEIC,
    "JXL": encoded(scene(), "JXL"),
    "JPEG2000": encoded(scene(), "JPEG2000"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_format_is_detected_and_decoded_by_content(name: str) -> None:
    content = FILES[name]
    assert is_image(content[:PREFIX_LENGTH])
    with open_image(content, "a.txt") as image:
        assert (image.format, image.size) == (name, (64, 48))
    decoded = np.asarray(decode_image(content, "a.txt")).astype(int)
    assert decoded.shape == (48, 64, 3)
    assert np.abs(decoded - np.asarray(scene())).mean() < 12


def test_other_files_are_not_images() -> None:
    others = [
        b"",
        b"BM: minutes of the meeting",
        b"%!PS-Adobe-3.0 EPSF-3.0",
        b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41",
        b"RIFF\0\0\0\0WAVEfmt ",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    ]
    assert [detect_format(content) for content in others] == [None] * len(others)


def test_a_jxl_header_has_the_size_of_the_image() -> None:
    for size in [(64, 48), (8, 8), (300, 200), (640, 360), (5000, 3)]:
        codestream = encoded(Image.new("L", size), "JXL", lossless=True)
        assert read_jxl_size(codestream) == size
        assert read_jxl_size(encoded(Image.new("L", size), "JXL", lossless=True, use_container=True)) == size
    assert read_jxl_size(b"\0\0\0\x0cJXL \r\n\x87\n") is None


def test_a_large_jxl_image_is_rejected_by_its_header() -> None:
    with pytest.raises(UndecodableError, match="3,072 pixels") as raised:
        decode_image(FILES["JXL"][:20], "a.jxl", limits=DecodingParams(max_pixels=1000))
    assert raised.value.status == "too_large"


def test_a_camera_raw_file_is_decoded_by_its_preview() -> None:
    red = Image.new("RGB", (96, 64), (200, 30, 30))
    with open_image(dng(encoded(red, "JPEG"), red.size, 6), "a.dng") as image:
        assert (image.format, image.size) == ("RAW", (64, 96))
        assert image.load_rgb().getpixel((5, 5)) == pytest.approx((200, 30, 30), abs=3)


def test_a_camera_raw_file_with_a_small_preview_is_developed() -> None:
    small = Image.new("RGB", (16, 8), (200, 30, 30))
    image = decode_image(dng(encoded(small, "JPEG"), small.size, 1), "a.dng")
    assert image.size == (32, 32)
    assert image.getpixel((5, 5)) == (255, 255, 255)


def test_a_damaged_camera_raw_file_is_broken() -> None:
    with pytest.raises(UndecodableError) as raised:
        decode_image(b"IIRO" + bytes(1000), "a.orf")
    assert raised.value.status == "broken"
