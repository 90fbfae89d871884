"""Photos: one status for every kind of file, upright sizes, stable hashes, near-duplicates."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from kadr.errors import InputError
from kadr.ingest.hamming import MAX_BITS, near_codes
from kadr.ingest.image_checks import Photo, absent_photos, check_photos, list_photos
from kadr.ingest.near_duplicates import Twin, find_near_duplicates

MAX_PIXELS = 100_000


def scene(seed: int, size: tuple[int, int] = (60, 40)) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def check(folder: Path, max_pixels: int = MAX_PIXELS) -> dict[str, Photo]:
    photos = check_photos(list_photos(str(folder.parent), folder.name, "train"), max_pixels)
    assert [photo.image_id for photo in photos] == sorted(file.name for file in folder.iterdir() if file.name[0] != ".")
    return {photo.image_id: photo for photo in photos}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "photos"
    path.mkdir()
    return path


def test_a_good_photo_is_described(folder: Path) -> None:
    scene(0).save(folder / "a.jpg")
    content = (folder / "a.jpg").read_bytes()
    photo = check(folder)["a.jpg"]
    assert (photo.status, photo.width, photo.height, photo.bytes) == ("ok", 60, 40, len(content))
    assert photo.sha256 == hashlib.sha256(content).hexdigest()
    assert photo.phash is not None
    assert len(photo.phash) == 16
    assert photo.path == f"{folder.parent}/photos/a.jpg"


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
def test_every_kind_of_photo_is_read(folder: Path, name: str, mode: str) -> None:
    scene(0).convert("L" if mode == "I;16" else mode).convert(mode).save(folder / name)
    assert check(folder)[name].status == "ok"


def test_a_progressive_jpeg_is_read_and_its_loss_noticed(folder: Path) -> None:
    scene(0, (200, 200)).save(folder / "a.jpg", progressive=True)
    content = (folder / "a.jpg").read_bytes()
    (folder / "b.jpg").write_bytes(content[: len(content) * 2 // 3])
    assert {name: photo.status for name, photo in check(folder).items()} == {"a.jpg": "ok", "b.jpg": "truncated"}


def test_16_bits_look_as_8(folder: Path) -> None:
    scene(0).convert("L").save(folder / "8.png")
    wide = np.asarray(scene(0).convert("L")).astype(np.uint16) * 257
    Image.fromarray(wide).save(folder / "16.png")
    photos = check(folder)
    one, other = photos["8.png"], photos["16.png"]
    assert (one.phash, one.blur, one.exposure) == (other.phash, other.blur, other.exposure)


def test_blur_and_exposure_tell_bad_photos(folder: Path) -> None:
    rng = np.random.default_rng(0)
    sharp = Image.fromarray(rng.integers(0, 256, (300, 400), dtype=np.uint8))
    sharp.save(folder / "sharp.png")
    sharp.filter(ImageFilter.GaussianBlur(8)).save(folder / "blurred.png")
    Image.new("L", (400, 300), 5).save(folder / "dark.png")
    Image.new("L", (400, 300), 255).save(folder / "white.png")
    photos = check(folder, 1_000_000)
    assert photos["sharp.png"].blur > 100 * photos["blurred.png"].blur > 0
    assert photos["dark.png"].blur == 0
    assert [photos[f"{name}.png"].exposure for name in ("dark", "white")] == [0.0196, 1.0]
    assert 0.45 < photos["sharp.png"].exposure < 0.55


def test_blur_is_of_the_photo_not_of_its_size(folder: Path) -> None:
    scene(4, (2000, 1400)).save(folder / "large.png")
    scene(4, (500, 350)).save(folder / "small.png")
    photos = check(folder, 10_000_000)
    assert photos["large.png"].blur == pytest.approx(photos["small.png"].blur, rel=0.2)


def test_an_animation_is_its_first_picture(folder: Path) -> None:
    scene(0).save(folder / "a.gif", save_all=True, append_images=[scene(1)])
    scene(0).save(folder / "b.gif")
    photos = check(folder)
    assert photos["a.gif"].phash == photos["b.gif"].phash


def test_bad_files_have_their_reason(folder: Path) -> None:
    scene(0, (200, 200)).save(folder / "good.jpg")
    content = (folder / "good.jpg").read_bytes()
    (folder / "truncated.jpg").write_bytes(content[: len(content) // 2])
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "notes.jpg").write_text("no photo at all")
    (folder / "page.jpg").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n")
    (folder / "folder.jpg").mkdir()
    scene(0, (400, 300)).save(folder / "large.png")
    scene(0).save(folder / "broken.png")
    damaged = bytearray((folder / "broken.png").read_bytes())
    damaged[60:400] = bytes(340)
    (folder / "broken.png").write_bytes(damaged)
    (folder / ".hidden").write_text("of no interest")
    status = {name: photo.status for name, photo in check(folder).items()}
    assert status.pop("broken.png") in {"broken", "truncated"}
    assert status == {
        "good.jpg": "ok",
        "truncated.jpg": "truncated",
        "empty.jpg": "empty_file",
        "notes.jpg": "not_an_image",
        "page.jpg": "not_an_image",
        "folder.jpg": "unreadable",
        "large.png": "too_large",
    }


@pytest.mark.parametrize("pixels", [100_000_000, 400_000_000])
def test_a_bomb_is_not_decoded_and_raises_no_warning(folder: Path, pixels: int) -> None:
    Image.new("1", (20_000, pixels // 20_000)).save(folder / "bomb.png")
    assert check(folder)["bomb.png"].status == "too_large"


def test_size_and_hash_are_of_the_upright_photo(folder: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    scene(0).save(folder / "turned.jpg", exif=exif, quality=95)
    scene(0).transpose(Image.Transpose.ROTATE_270).save(folder / "upright.jpg", quality=95)
    photos = check(folder)
    assert (photos["turned.jpg"].width, photos["turned.jpg"].height) == (40, 60)
    distance = int(photos["turned.jpg"].phash or "", 16) ^ int(photos["upright.jpg"].phash or "", 16)
    assert distance.bit_count() <= 4


def test_a_large_jpeg_hashes_as_its_small_copy(folder: Path) -> None:
    scene(3, (2400, 1600)).save(folder / "large.jpg", quality=90)
    scene(3, (600, 400)).save(folder / "small.jpg", quality=90)
    photos = check(folder, 10_000_000)
    distance = int(photos["large.jpg"].phash or "", 16) ^ int(photos["small.jpg"].phash or "", 16)
    assert distance.bit_count() <= 4
    assert (photos["large.jpg"].width, photos["large.jpg"].height) == (2400, 1600)


def test_a_large_jpeg_that_is_cut_off_is_truncated(folder: Path) -> None:
    scene(3, (2400, 1600)).save(folder / "a.jpg", quality=90)
    content = (folder / "a.jpg").read_bytes()
    (folder / "a.jpg").write_bytes(content[: len(content) * 9 // 10])
    assert check(folder, 10_000_000)["a.jpg"].status == "truncated"


def test_missing_and_empty_folders_are_explained(folder: Path) -> None:
    with pytest.raises(InputError, match="no photos, wanted the train photos"):
        list_photos(str(folder.parent), folder.name, "train")
    with pytest.raises(InputError, match="no such folder, wanted the test photos"):
        list_photos(str(folder), "test_images", "test")


def test_absent_photos_are_missing() -> None:
    assert absent_photos("data", "train_images", "train", ["a.jpg"]) == [
        Photo("a.jpg", "data/train_images/a.jpg", "train", *[None] * 7, "missing")
    ]


def hashed(split: str, *hashes: int) -> list[Photo]:
    return [Photo(f"{split}{n}", "", split, phash=f"{bits:016x}", status="ok") for n, bits in enumerate(hashes)]


def test_near_duplicates_are_counted_within_and_across_splits() -> None:
    photos = [*hashed("train", 0, 0b111, 2**64 - 1), *hashed("test", 0b1, 0b11111 << 20), Photo("gone", "", "test")]
    found = find_near_duplicates(photos, hashed("corpus", 2**64 - 2, 0b1), bits=3)
    assert {where: tuple(twins.figures().values()) for where, twins in found.items()} == {
        "within_train": (1, [["train0", "train1"]]),
        "within_test": (0, []),
        "within_corpus": (0, []),
        "train_test": (2, [["train0", "test0"], ["train1", "test0"]]),
        "corpus_train": (3, [["corpus0", "train2"], ["corpus1", "train0"], ["corpus1", "train1"]]),
        "corpus_test": (1, [["corpus1", "test0"]]),
    }


def test_many_equal_photos_are_all_counted_and_the_first_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kadr.ingest.near_duplicates.LISTED", 100)
    twins = find_near_duplicates(hashed("train", *[5] * 30), [], bits=0)["within_train"]
    assert (twins.n, len(twins.pairs), len(set(twins.pairs))) == (435, 100, 100)
    assert twins.pairs[0] == Twin("train0", "train1", 0)
    across = find_near_duplicates([*hashed("train", *[5] * 30), *hashed("test", *[4] * 9)], [], bits=1)["train_test"]
    assert (across.n, len(across.pairs), across.pairs[0]) == (270, 100, Twin("train0", "test0", 1))


@pytest.mark.parametrize("bits", [0, 1, 4, 9, MAX_BITS])
def test_near_codes_are_those_of_all_pairs(bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kadr.ingest.hamming._BLOCK", 50)
    rng = np.random.default_rng(bits)
    left = rng.integers(0, 2**64, 80, dtype=np.uint64)
    flips = np.bitwise_or.reduce(np.uint64(1) << rng.integers(0, 64, (MAX_BITS + 4, 80)).astype(np.uint64))
    right = left ^ (flips & rng.integers(0, 2**64, 80, dtype=np.uint64))
    distance = np.bitwise_count(left[:, None] ^ right[None, :])
    expected = [(row, column, distance[row, column]) for row, column in np.argwhere(distance <= bits).tolist()]
    found = [
        place for block in near_codes(left, right, bits) for place in zip(*map(np.ndarray.tolist, block), strict=True)
    ]
    assert sorted(found) == expected


def test_no_codes_have_no_near_ones() -> None:
    none = np.array([], dtype=np.uint64)
    assert [place for block in near_codes(none, none, 4) for place in block[0]] == []
