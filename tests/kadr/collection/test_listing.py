"""Tests of the listing of image files in folders as people and operating systems leave them."""

import os
import shutil
import socket
from pathlib import Path

import fsspec
import pytest
from PIL import Image

from kadr.collection import local_files
from kadr.collection.listing import list_images
from kadr.errors import InputError
from tests.kadr.collection.conftest import write


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Create a folder with one image."""
    write(tmp_path / "photos" / "red.png", "red")
    return tmp_path / "photos"


def listed(*addresses: object, exclude: tuple[str, ...] = ()) -> list[str]:
    listing = list_images([str(address) for address in addresses], exclude)
    return [Path(path).name for path in listing.files["path"]]


def passed_over(folder: Path, *exclude: str) -> dict[str, int]:
    return dict(list_images([str(folder)], exclude).passed_over.counts)


def test_system_folders_are_passed_over_and_counted(folder: Path) -> None:
    for name in ("@eaDir/red.png/SYNOPHOTO_THUMB_M.jpg", "#recycle/a.jpg", "$RECYCLE.BIN/b.jpg", "2024/.trash/c.jpg"):
        write(folder / name, "blue")
    (folder / "Thumbs.db").write_bytes(b"thumbnails")
    assert listed(folder) == ["red.png"]
    assert passed_over(folder) == {"thumbnail cache": 2, "recycle bin": 3}


def test_folders_with_nomedia_are_passed_over(folder: Path) -> None:
    write(folder / "private" / "deep" / "blue.png", "blue")
    (folder / "private" / ".nomedia").touch()
    assert listed(folder) == ["red.png"]
    assert passed_over(folder) == {"folder with .nomedia": 1}
    assert listed(folder / "private") == ["blue.png"]


def test_an_unreadable_folder_is_passed_over(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder / "lost" / "blue.png", "blue")
    original = os.scandir

    def refuse(path: str) -> object:
        if path.endswith("lost"):
            raise PermissionError(13, "Permission denied", path)
        return original(path)

    monkeypatch.setattr(local_files.os, "scandir", refuse)
    listing = list_images([str(folder)])
    assert [Path(path).name for path in listing.files["path"]] == ["red.png"]
    assert listing.passed_over.set_aside == [(str(folder / "lost"), "unreadable")]
    assert listing.passed_over.unreadable == {str(folder / "lost")}
    with pytest.raises(InputError, match="lost: the path cannot be read"):
        list_images([str(folder / "lost")])


def test_links_and_special_files_are_passed_over(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "other" / "blue.png", "blue")
    (folder / "file.png").symlink_to(tmp_path / "other" / "blue.png")
    (folder / "folder").symlink_to(tmp_path / "other")
    (folder / "up").symlink_to(folder)
    (folder / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (folder / "loop.png").symlink_to(folder / "loop.png")
    os.mkfifo(folder / "pipe.png")
    monkeypatch.chdir(folder)  # the path of a socket must be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.png")
        assert listed(folder) == ["file.png", "red.png"]
        assert passed_over(folder) == {"linked folder": 2, "broken link": 2, "socket or device": 2}


def test_names_in_any_bytes_are_passed_over(folder: Path) -> None:
    try:
        write(Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.png")), "red")
    except OSError as error:
        pytest.skip(f"the file system only supports UTF-8 names: {error}")
    write(folder / "line\nbreak \x1b[31m.png", "red")
    listing = list_images([str(folder)])
    assert [Path(path).name for path in listing.files["path"]] == ["line\nbreak \x1b[31m.png", "red.png"]
    assert listing.passed_over.set_aside == [(f"{folder}/caf\\xe9.png", "name_not_utf8")]


def test_images_are_recognised_by_content(folder: Path) -> None:
    for name in ("no_suffix", "photo.jpg_large", "photo.dat", "photo.jpg~", "photo.jpg_original", "clip.thm"):
        Image.new("RGB", (6, 4)).save(folder / name, "JPEG")
    (folder / "film.MOV").write_bytes(b"film")
    (folder / "empty").touch()
    assert listed(folder) == ["no_suffix", "photo.dat", "photo.jpg_large", "red.png"]
    suffixes = list_images([str(folder)]).passed_over.suffixes
    assert suffixes == {"": 1, ".mov": 1, ".jpg~": 1, ".jpg_original": 1, ".thm": 1}
    assert listed(folder / "no_suffix") == ["no_suffix"]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("private/", ["a.gif", "red.png"]),
        ("*.gif", ["deep.png", "private.png", "red.png"]),
        ("/2024/private", ["a.gif", "private.png", "red.png"]),
        ("{folder}/2024", ["private.png", "red.png"]),
        ("private*", ["a.gif", "red.png"]),
    ],
)
def test_excluded_files_and_folders_are_passed_over(folder: Path, pattern: str, names: list[str]) -> None:
    write(folder / "2024" / "private" / "deep.png", "red")
    write(folder / "2024" / "a.gif", "red")
    write(folder / "private" / "private.png", "red")
    pattern = pattern.replace("{folder}", str(folder))
    assert listed(folder, exclude=(pattern,)) == names
    assert passed_over(folder, pattern)["excluded"] >= 1


def test_useless_and_invalid_patterns_are_reported(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert listed(folder, exclude=("privat/", "!red.png")) == ["red.png"]
    assert "--exclude 'privat/' matches no file or folder" in caplog.text
    with pytest.raises(InputError, match="--exclude '!': Invalid"):
        list_images([str(folder)], ["!"])


def test_the_same_rules_apply_to_remote_files(folder: Path) -> None:
    for name in ("@eaDir/a.png", "private/b.png", "silent/c.png", "2024/d.png"):
        write(folder / name, "red")
    (folder / "silent" / ".nomedia").touch()
    (folder / "notes.txt").touch()
    memory = fsspec.filesystem("memory")
    memory.put(str(folder), "/listing", recursive=True)
    listing = list_images(["memory://listing"], ["private/"])
    memory.rm("/listing", recursive=True)
    assert listing.files["path"].tolist() == ["memory:///listing/2024/d.png", "memory:///listing/red.png"]
    counts = {"thumbnail cache": 1, "excluded": 1, "folder with .nomedia": 1, "folder settings": 1}
    assert (listing.passed_over.counts, listing.passed_over.suffixes) == (counts, {".txt": 1})
    assert listing.contains("memory:///listing/x.png")
    assert listing.leaves_out("memory:///listing/private/b.png")
    assert not listing.leaves_out("memory:///listing/2024/d.png")


def test_paths_of_an_archive_belong_to_its_address(folder: Path, tmp_path: Path) -> None:
    shutil.make_archive(str(tmp_path / "album"), "zip", folder)
    listing = list_images([f"zip://::{tmp_path}/album.zip"])
    assert listing.contains(f"zip://red.png::{tmp_path}/album.zip")
    assert not listing.contains(f"zip://red.png::{tmp_path}/other.zip")


def test_times_out_of_range_are_listed(folder: Path) -> None:
    for number, time in enumerate((10**18, -(10**18), 0, 253_402_300_800)):
        write(folder / f"{number}.png", "red")
        os.utime(folder / f"{number}.png", (time, time))
    assert len(list_images([str(folder)]).files) == 5


def test_what_is_passed_over_is_described(folder: Path) -> None:
    (folder / "lost+found").mkdir()
    for name in ("a.MOV", "b.mov", "README"):
        (folder / name).touch()
    described = list_images([str(folder)]).passed_over.describe()
    assert described == f"2 .mov, 1 without a suffix, file system: 1 (e.g. {folder}/lost+found)"


@pytest.mark.parametrize(("name", "reason"), [("none", "does not exist"), ("a.txt", "none of 1 files is an image")])
def test_addresses_without_images_are_errors(folder: Path, name: str, reason: str) -> None:
    (folder / "a.txt").touch()
    with pytest.raises(InputError, match=reason):
        list_images([str(folder / name)])
