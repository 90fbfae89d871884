"""Tests for image checks: the status of each kind of file, upright image sizes and stable hashes."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from kadr.ingest.image_checks import ImageFile, check_images, unchecked_images
from kadr.ingest.image_folders import read_image_folder
from kadr.params import DecodingParams

MAX_PIXELS = 100_000


def scene(seed: int, size: tuple[int, int] = (60, 40)) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def check(folder: Path, max_pixels: int = MAX_PIXELS) -> dict[str, ImageFile]:
    limits = DecodingParams(max_pixels=max_pixels)
    images = check_images(read_image_folder(str(folder.parent), folder.name, "train").images, limits)
    return {image.image_id: image for image in images}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "photos"
    path.mkdir()
    return path


def test_a_valid_image_has_size_and_hashes(folder: Path) -> None:
    scene(0).save(folder / "a.jpg")
    content = (folder / "a.jpg").read_bytes()
    image = check(folder)["a.jpg"]
    assert (image.status, image.width, image.height, image.bytes) == ("ok", 60, 40, len(content))
    assert image.sha256 == hashlib.sha256(content).hexdigest()
    assert image.phash is not None
    assert len(image.phash) == 16
    assert image.path == f"{folder.parent}/photos/a.jpg"


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        *(("a.jpg", mode) for mode in ("RGB", "L", "CMYK")),
        *(("фото 1.PNG", mode) for mode in ("RGBA", "P", "LA", "I;16", "1")),
        *(("a.webp", mode) for mode in ("RGB", "RGBA")),
        *(("a.gif", mode) for mode in ("P",)),
        *(("a.tiff", mode) for mode in ("RGB", "CMYK", "I;16", "F")),
        *(("с пробелом.JPEG", mode) for mode in ("RGB",)),
        *(("a.avif", mode) for mode in ("RGB",)),
    ],
)
def test_every_supported_format_and_mode_is_ok(folder: Path, name: str, mode: str) -> None:
    scene(0).convert("L" if mode == "I;16" else mode).convert(mode).save(folder / name)
    assert check(folder)[name].status == "ok"


def test_a_cut_off_progressive_jpeg_is_truncated(folder: Path) -> None:
    scene(0, (200, 200)).save(folder / "a.jpg", progressive=True)
    content = (folder / "a.jpg").read_bytes()
    (folder / "b.jpg").write_bytes(content[: len(content) * 2 // 3])
    assert {name: image.status for name, image in check(folder).items()} == {"a.jpg": "ok", "b.jpg": "truncated"}


def test_a_16_bit_image_is_measured_like_its_8_bit_copy(folder: Path) -> None:
    scene(0).convert("L").save(folder / "8.png")
    wide = np.asarray(scene(0).convert("L")).astype(np.uint16) * 257
    Image.fromarray(wide).save(folder / "16.png")
    images = check(folder)
    measured = [(image.phash, image.blur, image.exposure) for image in (images["8.png"], images["16.png"])]
    assert measured[0] == measured[1]


def test_blur_and_exposure_separate_good_from_bad_images(folder: Path) -> None:
    rng = np.random.default_rng(0)
    sharp = Image.fromarray(rng.integers(0, 256, (300, 400), dtype=np.uint8))
    sharp.save(folder / "sharp.png")
    sharp.filter(ImageFilter.GaussianBlur(8)).save(folder / "blurred.png")
    Image.new("L", (400, 300), 5).save(folder / "dark.png")
    Image.new("L", (400, 300), 255).save(folder / "white.png")
    images = check(folder, 1_000_000)
    assert images["sharp.png"].blur > 100 * images["blurred.png"].blur > 0
    assert images["dark.png"].blur == 0
    assert [images[f"{name}.png"].exposure for name in ("dark", "white")] == [0.0196, 1.0]
    assert 0.45 < images["sharp.png"].exposure < 0.55


def test_blur_does_not_depend_on_the_size(folder: Path) -> None:
    scene(4, (2000, 1400)).save(folder / "large.png")
    scene(4, (500, 350)).save(folder / "small.png")
    images = check(folder, 10_000_000)
    assert images["large.png"].blur == pytest.approx(images["small.png"].blur, rel=0.2)


def test_the_first_frame_of_an_animation_is_measured(folder: Path) -> None:
    scene(0).save(folder / "a.gif", save_all=True, append_images=[scene(1)])
    scene(0).save(folder / "b.gif")
    images = check(folder)
    assert images["a.gif"].phash == images["b.gif"].phash


def test_every_invalid_file_has_its_status(folder: Path) -> None:
    scene(0, (200, 200)).save(folder / "good.jpg")
    content = (folder / "good.jpg").read_bytes()
    (folder / "truncated.jpg").write_bytes(content[: len(content) // 2])
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "notes.jpg").write_text("not an image")
    (folder / "page.jpg").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n")
    (folder / "nowhere.jpg").symlink_to(folder / "removed.jpg")
    scene(0, (400, 300)).save(folder / "large.png")
    scene(0).save(folder / "broken.png")
    damaged = bytearray((folder / "broken.png").read_bytes())
    damaged[60:400] = bytes(340)
    (folder / "broken.png").write_bytes(damaged)
    images = check(folder)
    status = {name: image.status for name, image in images.items()}
    assert status.pop("broken.png") in {"broken", "truncated"}
    assert status == {
        "good.jpg": "ok",
        "truncated.jpg": "truncated",
        "empty.jpg": "empty_file",
        "notes.jpg": "not_an_image",
        "page.jpg": "not_an_image",
        "nowhere.jpg": "unreadable",
        "large.png": "too_large",
    }
    assert [(images[name].width, images[name].height) for name in ("truncated.jpg", "large.png")] == [
        (200, 200),
        (400, 300),
    ]


@pytest.mark.parametrize("pixels", [100_000_000, 400_000_000])
def test_a_decompression_bomb_is_not_decoded(folder: Path, pixels: int) -> None:
    Image.new("1", (20_000, pixels // 20_000)).save(folder / "bomb.png")
    assert check(folder)["bomb.png"].status == "too_large"


def test_size_and_hash_are_those_of_the_upright_image(folder: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    scene(0).save(folder / "turned.jpg", exif=exif, quality=95)
    scene(0).transpose(Image.Transpose.ROTATE_270).save(folder / "upright.jpg", quality=95)
    images = check(folder)
    assert (images["turned.jpg"].width, images["turned.jpg"].height) == (40, 60)
    distance = int(images["turned.jpg"].phash or "", 16) ^ int(images["upright.jpg"].phash or "", 16)
    assert distance.bit_count() <= 4


def test_a_large_jpeg_has_the_hash_of_its_small_copy(folder: Path) -> None:
    scene(3, (2400, 1600)).save(folder / "large.jpg", quality=90)
    scene(3, (600, 400)).save(folder / "small.jpg", quality=90)
    images = check(folder, 10_000_000)
    distance = int(images["large.jpg"].phash or "", 16) ^ int(images["small.jpg"].phash or "", 16)
    assert distance.bit_count() <= 4
    assert (images["large.jpg"].width, images["large.jpg"].height) == (2400, 1600)


def test_a_cut_off_large_jpeg_is_truncated(folder: Path) -> None:
    scene(3, (2400, 1600)).save(folder / "a.jpg", quality=90)
    content = (folder / "a.jpg").read_bytes()
    (folder / "a.jpg").write_bytes(content[: len(content) * 9 // 10])
    assert check(folder, 10_000_000)["a.jpg"].status == "truncated"


def test_unchecked_images_have_a_path_and_no_hashes() -> None:
    assert unchecked_images("data", "train_images", "train", ["a.jpg"]) == [
        ImageFile("a.jpg", "data/train_images/a.jpg", "train", *[None] * 8, "missing")
    ]
