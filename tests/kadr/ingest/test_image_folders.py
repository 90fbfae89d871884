"""Tests for image folders: which files are images, and which files and folders are passed over."""

import os
import socket
from pathlib import Path

import pytest
from PIL import Image

from kadr.errors import InputError
from kadr.ingest.image_folders import NOT_UTF8, ImageFolder, read_image_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "raw" / "train_images"
    path.mkdir(parents=True)
    Image.new("RGB", (4, 4)).save(path / "a.jpg")
    return path


def read(folder: Path) -> ImageFolder:
    return read_image_folder(str(folder.parent), folder.name, "train")


def ids(listing: ImageFolder) -> list[str]:
    return [image.image_id for image in listing.images]


def test_images_in_subfolders_have_their_relative_path_as_id(folder: Path) -> None:
    (folder / "summer" / "2020").mkdir(parents=True)
    Image.new("RGB", (4, 4)).save(folder / "summer" / "2020" / "b.png")
    listing = read(folder)
    assert ids(listing) == ["a.jpg", "summer/2020/b.png"]
    assert listing.images[1].path == f"{folder}/summer/2020/b.png"
    assert (listing.images[1].status, listing.images[1].split) == ("missing", "train")
    assert listing.count_passed_over() == {}


def test_files_that_are_not_images_are_counted_by_kind_and_suffix(folder: Path) -> None:
    for name in ("Thumbs.db", "desktop.ini", ".DS_Store", "._a.jpg", ".b.jpg", "notes.txt", "list.TXT", "README"):
        (folder / name).write_text("no image")
    (folder / "empty.png").write_bytes(b"")
    Image.new("RGB", (4, 4)).save(folder / "no suffix", format="PNG")
    Image.new("RGB", (4, 4)).save(folder / "photo.dat", format="JPEG")
    for name in ("@eaDir", "__MACOSX", "lost+found", "$RECYCLE.BIN"):
        (folder / name).mkdir()
        Image.new("RGB", (4, 4)).save(folder / name / "a.jpg")
    listing = read(folder)
    assert ids(listing) == ["a.jpg", "empty.png", "no suffix", "photo.dat"]
    assert listing.other_files == ["README", "list.TXT", "notes.txt"]
    assert listing.count_passed_over() == {
        "file system": 1,
        "folder settings": 2,
        "hidden": 1,
        "recycle bin": 1,
        "resource fork": 2,
        "thumbnail cache": 2,
        "no suffix": 1,
        ".txt": 2,
    }


def test_names_that_are_not_utf8_are_rejected_with_escapes(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("Кот.jpg".encode("cp866"), "note ж.txt".encode("cp1251")):
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes((folder / "a.jpg").read_bytes()[:1])
    subfolder = Path(os.fsdecode(os.fsencode(folder) + b"/\xff"))
    subfolder.mkdir()
    (subfolder / "b.jpg").write_bytes(b"x")
    listing = read(folder)
    assert ids(listing) == ["a.jpg"]
    assert [(image.image_id, image.status) for image in listing.rejected] == [
        (r"\x8a\xae\xe2.jpg", NOT_UTF8),
        (r"\xff/b.jpg", NOT_UTF8),
    ]
    assert r"the names of 2 images are not valid UTF-8, such as \x8a\xae\xe2.jpg." in caplog.text
    assert listing.rejected[0].path == rf"{folder}/\x8a\xae\xe2.jpg"
    assert listing.count_passed_over() == {".txt": 1}


def test_a_folder_without_valid_names_is_an_error(folder: Path) -> None:
    (folder / "a.jpg").rename(os.fsdecode(os.fsencode(folder) + b"/\x8a.jpg"))
    with pytest.raises(InputError, match=r"the names of 1 images are not valid UTF-8, such as \\x8a\.jpg\. Rename"):
        read(folder)


def test_links_are_followed_once(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    Image.new("RGB", (4, 4)).save(elsewhere / "b.jpg")
    (elsewhere / "back").symlink_to(folder)
    (elsewhere / "self").symlink_to(elsewhere)
    (folder / "linked").symlink_to(elsewhere)
    (folder / "linked again").symlink_to(elsewhere)
    (folder / "up").symlink_to(folder.parent)
    (folder / "c.jpg").symlink_to(elsewhere / "b.jpg")
    (folder / "nowhere.jpg").symlink_to(folder / "removed.jpg")
    (folder / "loop.jpg").symlink_to(folder / "loop.jpg")
    (folder / "nowhere").symlink_to(folder / "removed")
    listing = read(folder)
    assert ids(listing) == ["a.jpg", "c.jpg", "linked/b.jpg", "loop.jpg", "nowhere.jpg"]
    assert listing.count_passed_over() == {"linked folder": 4, "no suffix": 1}


def test_special_files_are_never_opened(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(folder / "pipe.jpg")
    monkeypatch.chdir(folder)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        assert read(folder).count_passed_over() == {"special file": 2}


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read every folder")
def test_a_subfolder_that_cannot_be_read_is_counted(folder: Path) -> None:
    (folder / "closed").mkdir(mode=0)
    assert read(folder).count_passed_over() == {"unreadable folder": 1}


def test_a_folder_without_images_is_an_error(folder: Path) -> None:
    (folder / "a.jpg").unlink()
    with pytest.raises(InputError, match=r"train_images is empty\. It must contain the train images"):
        read(folder)
    (folder / "Thumbs.db").write_text("")
    (folder / "film.mp4").write_text("")
    with pytest.raises(InputError, match=r"contains no images, but 1 thumbnail cache, 1 \.mp4\. It must"):
        read(folder)


def test_a_missing_folder_is_an_error_that_names_a_similar_folder(tmp_path: Path) -> None:
    def error(folder: str) -> str:
        with pytest.raises(InputError) as raised:
            read_image_folder(str(tmp_path), folder, "test")
        return str(raised.value)

    assert error("test_images").endswith("Add the folder, or correct ingest.source.")
    (tmp_path / "mine" / "test_images").mkdir(parents=True)
    assert error("test_images").endswith(f"Move the folder {tmp_path}/mine/test_images to {tmp_path}/test_images.")
    (tmp_path / "Test-Image").mkdir()
    assert error("test_images").endswith("images. Rename the folder Test-Image to test_images.")
    (tmp_path / "photos").write_text("")
    assert error("photos").endswith("photos is a file. Replace it by a folder.")


def test_a_missing_folder_is_an_error_that_names_the_only_other_folder_with_images(folder: Path) -> None:
    folder.rename(folder.parent / "val2014")
    with pytest.raises(InputError, match="If the folder val2014 contains these images, rename it to train_images"):
        read(folder)
    (folder.parent / "val2014" / "a.jpg").rename(folder.parent / "a.jpg")
    with pytest.raises(InputError, match=r"raw itself contains images\. Move the images to .*train_images\."):
        read(folder)
