"""Tests for copying remote folders: complete copies, resumed copies and listing keys."""

from pathlib import Path

import fsspec
import pytest
from typer.testing import CliRunner

from kadr.cli.main import app
from kadr.errors import InputError
from kadr.ingest import fetch as fetch_module
from kadr.ingest.fetch import fetch, listing_key

FILES = {
    "ratings_long.csv": b"image,text,rater,rating\n",
    "train_images/\u043a\u043e\u0442 1.jpg": b"123",
    "a/b/c": b"",
}


@pytest.fixture(params=["memory", "file"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    base = f"memory://{tmp_path.name}/raw" if request.param == "memory" else f"file://{tmp_path}/remote"
    filesystem, root = fsspec.core.url_to_fs(base)
    for name, content in FILES.items():
        filesystem.makedirs(f"{root}/{name}".rsplit("/", 1)[0], exist_ok=True)
        filesystem.pipe_file(f"{root}/{name}", content)
    return base


def read_files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_all_files_are_copied(address: str, tmp_path: Path) -> None:
    assert fetch(address, tmp_path / "raw") == 3
    assert read_files(tmp_path / "raw") == FILES


def test_system_files_are_passed_over(address: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    key = listing_key(address)
    filesystem, root = fsspec.core.url_to_fs(address)
    for name in ("train_images/Thumbs.db", "__MACOSX/train_images/._a.jpg", "train_images/@eaDir/a.jpg/T.jpg"):
        filesystem.makedirs(f"{root}/{name}".rsplit("/", 1)[0], exist_ok=True)
        filesystem.pipe_file(f"{root}/{name}", b"x")
    filesystem.pipe_file(f"{root}/.gitkeep", b"")
    with caplog.at_level("INFO", "kadr"):
        assert fetch(address, tmp_path / "raw") == 4
    assert read_files(tmp_path / "raw") == FILES | {".gitkeep": b""}
    assert f"{address}: passed over system files: 1 resource fork, 2 thumbnail cache" in caplog.messages
    filesystem.rm_file(f"{root}/.gitkeep")
    assert listing_key(address) == key


def test_an_existing_folder_is_replaced_with_force_only(address: str, tmp_path: Path) -> None:
    fetch(address, tmp_path / "raw")
    with pytest.raises(InputError, match="raw already exists"):
        fetch(address, tmp_path / "raw")
    (tmp_path / "raw" / "old").write_text("")
    fetch(address, tmp_path / "raw", force=True)
    assert read_files(tmp_path / "raw") == FILES


def test_an_interrupted_copy_resumes(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt_at_image(filesystem: object, path: str, size: int, target: Path) -> None:
        if target.suffix == ".jpg":
            raise KeyboardInterrupt
        copy_file(filesystem, path, size, target)

    copy_file = fetch_module._copy_file
    monkeypatch.setattr(fetch_module, "_copy_file", interrupt_at_image)
    with pytest.raises(KeyboardInterrupt):
        fetch(address, tmp_path / "raw")
    monkeypatch.setattr(fetch_module, "_copy_file", copy_file)
    assert not (tmp_path / "raw").exists()
    partial = tmp_path / ".raw.partial"
    complete = FILES["ratings_long.csv"].upper()  # a file with the size of the remote file is not copied again
    (partial / "ratings_long.csv").write_bytes(complete)
    (partial / "deleted_meanwhile").write_bytes(b"1")
    (partial / "a/b/c").write_bytes(b"of another size")
    fetch(address, tmp_path / "raw")
    assert read_files(tmp_path / "raw") == FILES | {"ratings_long.csv": complete}
    assert not partial.exists()


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("nowhere://x", "nowhere://x: .*nowhere"),
        ("memory://not/there", "no files found"),
        ("file:///no/such/folder", "no files found"),
    ],
)
def test_an_unusable_address_is_an_error(address: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        fetch(address, tmp_path / "raw")
    assert list(tmp_path.iterdir()) == []


def test_the_command_prints_the_setting_to_change(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["fetch", address])
    name = address.rsplit("/", 1)[1]
    assert result.exit_code == 0, result.output
    assert f"data/raw/{name}: 3 files" in result.stdout
    assert f"ingest.source: data/raw/{name}" in result.stdout
    assert read_files(tmp_path / "data/raw" / name) == FILES


def test_the_key_of_a_listing_changes_with_its_files_only(address: str) -> None:
    filesystem, root = fsspec.core.url_to_fs(address)
    key = listing_key(address)
    assert listing_key(address) == key
    filesystem.pipe_file(f"{root}/more", b"1")
    key_with_new_file = listing_key(address)
    filesystem.pipe_file(f"{root}/more", b"2")
    assert len({key, key_with_new_file, listing_key(address)}) == 3


def test_an_empty_folder_has_no_key(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no files found"):
        listing_key(str(tmp_path))
