"""Reading one photo: what an encoder sees of it."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kadr.errors import InputError, UndecodableError
from kadr.io.image_decoding import read_photo


def saved(image: Image.Image, path: Path) -> tuple[Path, str]:
    image.save(path)
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


def test_16_bits_look_as_8(tmp_path: Path) -> None:
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4
    wide = read_photo(*saved(Image.fromarray(grey.astype(np.uint16) * 257), tmp_path / "16.png"))
    narrow = read_photo(*saved(Image.fromarray(grey), tmp_path / "8.png"))
    assert wide.mode == "RGB"
    assert np.array_equal(np.asarray(wide), np.asarray(narrow))


def test_a_photo_is_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (8, 4)).save(tmp_path / "a.jpg", exif=exif)
    sha256 = hashlib.sha256((tmp_path / "a.jpg").read_bytes()).hexdigest()
    assert read_photo(tmp_path / "a.jpg", sha256).size == (4, 8)


def test_what_has_changed_or_is_no_photo_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"no photo")
    with pytest.raises(InputError, match="has changed since ingest"):
        read_photo(path, "0" * 64)
    with pytest.raises(UndecodableError, match="does not decode"):
        read_photo(path, hashlib.sha256(b"no photo").hexdigest())
