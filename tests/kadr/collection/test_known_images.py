"""Tests of updates while images cannot be read, disappear or change."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest
from PIL import Image

from kadr.collection import local_files, set_aside
from kadr.collection.scan import scan_images
from kadr.embed import reader
from kadr.errors import InputError, SearchError
from kadr.index import Index
from kadr.io import image_decoding
from kadr.io.schemas import QUARANTINE, read_table
from tests.kadr.collection.conftest import MeanColour, changed, paths, run, write


@pytest.fixture
def many(photos: Path) -> Path:
    """Add 20 images to the folder of images, in the subfolder `disk`."""
    for number in range(20):
        Image.new("RGB", (60, 40), (number, 0, 0)).save(photos / f"new{number}.png")
        write_number(photos / "disk" / f"{number}.png", number)
    return photos


def write_number(path: Path, number: int) -> None:
    path.parent.mkdir(exist_ok=True)
    Image.new("RGB", (60, 40), (0, 10 * number, 99)).save(path)


def refuse_scandir(monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    original = os.scandir

    def scandir(path: str) -> Iterator[os.DirEntry]:
        if str(path).endswith(folder):
            raise OSError(5, "Input/output error", path)
        return original(path)

    monkeypatch.setattr(local_files.os, "scandir", scandir)


def rules(out: Path) -> dict[str, str]:
    table = read_table(out / set_aside.SET_ASIDE, QUARANTINE).to_pylist()
    return {Path(row["file"]).name: row["rule"] for row in table}


def test_images_in_an_unreadable_folder_are_kept(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "index"
    first = run(out, photos).index
    version = out.resolve()
    with monkeypatch.context() as patched:
        refuse_scandir(patched, "2024")
        result = run(out)
        assert (changed(result), result.published) == ({"unchanged": 1, "kept": 2}, False)
        assert rules(out) == {"broken.JPG": "not_an_image", "2024": "unreadable"}
        write(photos / "yellow.png", "yellow")
        assert changed(run(out)) == {"unchanged": 1, "new": 1, "kept": 2}
    kept = Index.load(out)
    assert paths(kept) == ["blue.jpg", "green.webp", "red.png", "yellow.png"]
    for image in first.table.to_pylist():
        row = kept.find_row(image["image_id"])
        assert row is not None
        assert kept.table.slice(row, 1).to_pylist() == [image | {"row": row}]
        assert (kept.vectors["clip"].values[row] == first.vectors["clip"].values[image["row"]]).all()
    assert out.resolve() != version
    assert changed(run(out)) == {"unchanged": 4}


def test_an_unreadable_known_image_is_kept(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "index"
    run(out, photos)
    with monkeypatch.context() as patched:
        patched.setattr("kadr.io.fingerprints._sha256", lambda _: None)
        patched.setattr("kadr.collection.scan_cache.scan_images", scan_as_unreadable)
        result = run(out)
    assert (changed(result), result.set_aside) == ({"kept": 3}, {"unreadable": 1})
    assert [Path(path).name for path in sorted(result.kept)] == ["blue.jpg", "green.webp", "red.png"]
    assert changed(run(out)) == {"unchanged": 3}


def scan_as_unreadable(rows: list[dict], _limits: object) -> Iterator[dict]:
    for row in rows:
        yield row | {"status": "unreadable"}


def test_a_large_removal_is_refused(many: Path, tmp_path: Path) -> None:
    out = tmp_path / "index"
    run(out, many)
    version = out.resolve()
    for number in range(12):
        (many / "disk" / f"{number}.png").unlink()
    with pytest.raises(SearchError, match=r"index: 12 of 43 .*0\.png.*No image is removed.* --allow-removals"):
        run(out)
    assert out.resolve() == version
    assert changed(run(out, allow_removals=True)) == {"unchanged": 31, "gone": 12}


def test_a_large_removal_from_a_damaged_index_is_refused(many: Path, tmp_path: Path) -> None:
    out = tmp_path / "index"
    run(out, many)
    (out / "clip.faiss").write_bytes(b"half")
    (many / "disk").rename(tmp_path / "unmounted")
    with pytest.raises(SearchError, match="20 of 43 indexed images no longer exist"):
        run(out)
    assert changed(run(out, allow_removals=True)) == {"unchanged": 23, "gone": 20}


def test_damaged_images_count_as_removed(many: Path, tmp_path: Path) -> None:
    out = tmp_path / "index"
    run(out, many)
    for number in range(12):
        (many / "disk" / f"{number}.png").write_bytes(b"")
    with pytest.raises(SearchError, match="12 of 43 indexed images no longer exist or are damaged"):
        run(out)


def test_moved_excluded_and_left_out_images_do_not_count_as_removed(many: Path, tmp_path: Path) -> None:
    out = tmp_path / "index"
    run(out, many)
    (many / "disk").rename(many / "moved")
    assert changed(run(out)) == {"unchanged": 23, "moved": 20}
    assert changed(run(out, exclude=["moved/"])) == {"unchanged": 23, "gone": 20}
    result = run(out)
    assert (result.exclude, changed(result)) == (["moved/"], {"unchanged": 23})
    assert changed(run(out, exclude=[""])) == {"unchanged": 23, "new": 20}
    (many / "moved" / ".nomedia").touch()
    assert changed(run(out)) == {"unchanged": 23, "gone": 20}
    assert changed(run(out, many / "2024")) == {"unchanged": 2, "gone": 21}


def test_a_disk_that_disappears_while_it_is_read_is_an_error(
    many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "index"
    run(out, many)
    version = out.resolve()
    listed = local_files.walk_local

    def walk_and_unmount(*arguments: object) -> Iterator[local_files.File]:
        files = list(listed(*arguments))
        (many / "disk").rename(tmp_path / "unmounted")
        return iter(files)

    monkeypatch.setattr("kadr.collection.listing.walk_local", walk_and_unmount)
    with pytest.raises(SearchError, match=r"20 of 43 images disappeared while they were read.*No image is removed"):
        run(out, allow_removals=True)
    assert out.resolve() == version


@pytest.mark.parametrize("change", ["removed", "edited"])
def test_a_file_that_changes_while_it_is_embedded_is_set_aside_alone(
    change: str, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "index"
    read = image_decoding.read_image_bytes

    def change_and_read(path: str, sha256: str) -> bytes:
        if path.endswith("blue.jpg"):
            Path(path).unlink() if change == "removed" else write(Path(path), "purple")
        return read(path, sha256)

    with monkeypatch.context() as patched:
        patched.setattr(reader, "read_image_bytes", change_and_read)
        result = run(out, photos)
    status = "unreadable" if change == "removed" else "changed"
    assert result.set_aside == {"not_an_image": 1, status: 1}
    assert rules(out)["blue.jpg"] == status
    assert paths(result.index) == ["green.webp", "red.png"]
    expected = {"unchanged": 2} if change == "removed" else {"unchanged": 2, "new": 1}
    assert changed(run(out)) == expected


def test_a_known_image_that_changes_while_it_is_embedded_is_kept(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "index"
    run(out, photos)
    for name in ("red.png", "2024/blue.jpg", "2024/green.webp"):
        write(photos / name, "purple")
    with monkeypatch.context() as patched:
        patched.setattr(reader, "read_image_bytes", lambda path, _: read_as_changed(path))
        assert changed(run(out)) == {"kept": 3}
    assert changed(run(out)) == {"changed": 3}


def read_as_changed(path: str) -> bytes:
    write(Path(path), "orange")
    return image_decoding.read_image_bytes(path, "another hash")


def test_a_copy_of_a_changed_image_is_indexed(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.png", "z.png"):
        (photos / name).write_bytes((photos / "red.png").read_bytes())
    read = image_decoding.read_image_bytes

    def remove_and_read(path: str, sha256: str) -> bytes:
        Path(path).unlink() if path.endswith("z.png") else None
        return read(path, sha256)

    monkeypatch.setattr(reader, "read_image_bytes", remove_and_read)
    result = run(tmp_path / "index", photos)
    assert paths(result.index) == ["a.png", "blue.jpg", "green.webp", "red.png"]
    assert result.set_aside == {"not_an_image": 1, "unreadable": 1}


def test_content_that_changes_without_a_new_time_is_noticed(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "index"
    run(out, photos)
    before = (photos / "red.png").stat()
    content = (photos / "red.png").read_bytes()
    write(photos / "red.png", "blue")
    edited = (photos / "red.png").read_bytes()
    (photos / "red.png").write_bytes(content)
    with (photos / "red.png").open("r+b") as file:
        overwrite(file, edited)
    os.utime(photos / "red.png", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert changed(run(out)) == {"unchanged": 2, "changed": 1}


def overwrite(file: BinaryIO, content: bytes) -> None:
    file.truncate()
    file.write(content)


def test_all_files_are_read_again_on_request(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "index"
    run(out, photos)
    scanned: list[str] = []
    monkeypatch.setattr("kadr.collection.scan_cache.scan_images", lambda rows, limits: record(rows, limits, scanned))
    assert changed(run(out)) == {"unchanged": 3}
    assert [Path(path).name for path in scanned] == ["broken.JPG"]
    assert changed(run(out, rescan=True)) == {"unchanged": 3}
    assert len(scanned) == 5
    assert MeanColour.n_encoded == 3


def record(rows: list[dict], limits: object, scanned: list[str]) -> Iterator[dict]:
    for row in rows:
        scanned.append(row["path"])
        yield from scan_images([row], limits)


def test_an_address_that_is_away_names_the_fix(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "index"
    run(out, photos)
    photos.rename(tmp_path / "unmounted")
    photos.mkdir()
    with pytest.raises(InputError, match="none of 0 files is an image"):
        run(out, allow_removals=True)
    assert len(Index.load(out).table) == 3
