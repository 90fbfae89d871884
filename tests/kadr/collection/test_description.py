"""Tests of the camera and of the title, description and keywords in the metadata of an image."""

import io
import time
from pathlib import Path

import pytest
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

from kadr.collection.description import MAX_LENGTH, read_camera, read_description
from kadr.collection.scan import scan_images

BLANK = Image.new("L", (1, 1))
XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description dc:title="Fishing &amp; boats">'
    '<dc:description><rdf:Alt><rdf:li xml:lang="x-default">Рыбак на берегу</rdf:li></rdf:Alt></dc:description>'
    "<dc:subject><rdf:Bag><rdf:li>sea</rdf:li><rdf:li>boat</rdf:li></rdf:Bag></dc:subject>"
    "</rdf:Description></rdf:RDF></x:xmpmeta>"
)


def exif_of(**tags: object) -> Image.Exif:
    exif = Image.Exif()
    for name, value in tags.items():
        block = exif.get_ifd(ExifTags.IFD.Exif) if name == "UserComment" else exif
        block[ExifTags.Base[name]] = value
    return exif


@pytest.mark.parametrize(
    ("make", "model", "camera"),
    [
        ("Canon", "Canon EOS 5D", "Canon EOS 5D"),
        ("NIKON CORPORATION", "NIKON D90\0\0", "NIKON D90"),
        ("Apple", "iPhone 15 Pro", "Apple iPhone 15 Pro"),
        ("SONY ", "", "SONY"),
        ("", "X100V", "X100V"),
        ("\0", " ", None),
        (None, None, None),
        (5, (1, 2), None),
        ("a" * 500, "b", "a" * 100),
    ],
)
def test_the_make_is_not_repeated(make: object, model: object, camera: str | None) -> None:
    tags = {name: value for name, value in (("Make", make), ("Model", model)) if value is not None}
    assert read_camera(exif_of(**tags)) == camera
    assert read_camera(None) is None


@pytest.mark.parametrize(
    ("tag", "value", "description"),
    [
        ("ImageDescription", "Two boats\r\n at sea ", "Two boats at sea"),
        ("ImageDescription", "OLYMPUS DIGITAL CAMERA         ", None),
        ("ImageDescription", "SONY DSC", None),
        ("ImageDescription", "<Digimax i5, Samsung #1>", None),
        ("ImageDescription", "dav_vivid", None),
        ("ImageDescription", "Created with The GIMP", None),
        ("ImageDescription", "Caf\xe9".encode("cp1252"), "Café"),
        ("ImageDescription", "A camera on a table", "A camera on a table"),
        ("XPTitle", "Sunset\0".encode("utf-16-le"), "Sunset"),
        ("XPKeywords", tuple("море;лодка\0".encode("utf-16-le")), "море; лодка"),
        ("XPComment", (1, 2, 99999), None),
        ("UserComment", b"ASCII\0\0\0Near the harbour", "Near the harbour"),
        ("UserComment", b"UNICODE\0" + "Порт".encode("utf-16-be"), "Порт"),
        ("UserComment", b"UNICODE\0" + "Port".encode("utf-16-le"), "Port"),
        ("UserComment", b"ASCII\0\0\0" + bytes(40), None),
        ("UserComment", b"ASCII\0\0\0" + b'{"faces":[]}', None),
        ("UserComment", b"\xff\x00\x81" * 30, None),
        ("UserComment", b"ASCII\0\0\0" + b"QUJD" * 50 + b"!" * 9, "QUJD" * 50 + "!" * 9),
    ],
)
def test_descriptions_of_exif(tag: str, value: object, description: str | None) -> None:
    assert read_description(exif_of(**{tag: value}), None, BLANK) == description


def test_descriptions_of_xmp_in_any_encoding() -> None:
    expected = "Рыбак на берегу; sea; boat; Fishing & boats"
    for packet in (XMP, XMP.encode(), XMP.encode("utf-16")):
        assert read_description(None, packet, BLANK) == expected
    assert read_description(exif_of(ImageDescription="SEA"), XMP, BLANK) == expected  # not repeated
    assert read_description(None, XMP[: XMP.index("boat</")], BLANK) == "Рыбак на берегу; Fishing & boats"


def test_descriptions_of_iptc_and_png() -> None:
    iptc = b"\x1c\x01\x5a\x00\x03\x1b%G" + b"".join(
        b"\x1c\x02" + bytes([number]) + len(text).to_bytes(2, "big") + text
        for number, text in ((120, b"Wiese"), (25, "Kühe".encode()), (25, b"Gras"))
    )
    block = b"8BIM\x04\x04\x00\x00" + len(iptc).to_bytes(4, "big") + iptc + bytes(len(iptc) % 2)
    app13 = b"Photoshop 3.0\0" + block
    plain = io.BytesIO()
    Image.new("RGB", (8, 8)).save(plain, "JPEG")
    content = plain.getvalue()[:2] + b"\xff\xed" + (len(app13) + 2).to_bytes(2, "big") + app13 + plain.getvalue()[2:]
    assert read_description(None, None, Image.open(io.BytesIO(content))) == "Wiese; Kühe; Gras"
    text = PngInfo()
    text.add_itxt("Title", "Ein Turm")
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG", pnginfo=text)
    assert read_description(None, None, Image.open(io.BytesIO(buffer.getvalue()))) == "Ein Turm"


@pytest.mark.parametrize(
    "packet",
    ["<dc:title>" * 100_000, "<dc:title " * 100_000, "<dc:subject><rdf:li>" + "<rdf:li" * 100_000 + "</dc:subject>"],
    ids=["elements", "tags", "items"],
)
def test_hostile_metadata_takes_little_time(packet: str) -> None:
    start = time.process_time()
    read_description(exif_of(ImageDescription="x" * 39 + " " * 100_000 + "!"), packet, BLANK)
    assert time.process_time() - start < 1


def test_a_description_has_a_limited_length() -> None:
    many = "<dc:subject>" + "".join(f"<rdf:li>word{n}</rdf:li>" for n in range(100_000)) + "</dc:subject>"
    assert len(read_description(None, many, BLANK) or "") <= MAX_LENGTH
    assert len(read_description(exif_of(ImageDescription="word " * 10_000), None, BLANK) or "") <= MAX_LENGTH


def test_a_scan_has_camera_and_description(tmp_path: Path) -> None:
    exif = exif_of(Make="Canon", Model="EOS 5D", ImageDescription="A pier", XPKeywords="sea;pier\0".encode("utf-16-le"))
    Image.new("RGB", (60, 40)).save(tmp_path / "a.jpg", exif=exif)
    Image.new("RGB", (60, 40)).save(tmp_path / "b.tif", description="A tower")
    files = [{"path": str(tmp_path / name), "bytes": None, "modified": None} for name in ("a.jpg", "b.tif")]
    first, second = scan_images(files)
    assert (first["camera"], first["description"]) == ("Canon EOS 5D", "A pier; sea; pier")
    assert (second["camera"], second["description"]) == (None, "A tower")
