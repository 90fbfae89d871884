"""Tests of index updates: listing, scanning, embedding and publishing."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import fsspec
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from kadr.collection import IndexUpdate, update, update_index
from kadr.collection.listing import list_image_files
from kadr.collection.scan import scan_image
from kadr.encoders.base import Identity, ImageEncoder, Pixels, to_unit_norm
from kadr.errors import InputError, SearchError
from kadr.index import Index, Versions
from kadr.index.colours import dominant_colours
from kadr.io.embeddings import Embeddings, Vectors
from kadr.io.schemas import INDEXED_IMAGES, QUARANTINE, read_table
from kadr.params import EmbedImagesParams, load_params

PARAMS = load_params(Path(__file__).parents[3] / "params.yaml")


class MeanColour(ImageEncoder):
    """An encoder that returns the mean colour of an image."""

    n_encoded = 0

    def __init__(self, _spec: object = None, _precision: object = None) -> None:
        self.identity, self.dim = Identity("mean", "mean", "0", "0", "fp32"), 3

    def preprocess(self, image: Image.Image) -> Pixels:
        return np.asarray(image).reshape(-1, 3).mean(axis=0)

    def encode(self, photos: Sequence[Pixels]) -> Vectors:
        MeanColour.n_encoded += len(photos)
        return to_unit_norm(np.stack(photos) + 1, "mean")


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Create a folder with three images, a hidden image, a text file and an invalid image."""
    monkeypatch.setenv("KADR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(update, "load_image_encoder", MeanColour)
    monkeypatch.setattr(MeanColour, "n_encoded", 0)
    folder = tmp_path / "photos"
    for name, colour in (
        ("red.png", "red"),
        ("2024/blue.jpg", "blue"),
        ("2024/green.webp", "green"),
        (".h.png", "red"),
    ):
        write(folder / name, colour)
    (folder / "notes.txt").write_text("text")
    (folder / "broken.JPG").write_bytes(b"text")
    return folder


def write(path: Path, colour: str, size: tuple[int, int] = (60, 40)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


def run(
    folder: Path,
    *addresses: object,
    encoders: Sequence[str] = ("clip",),
    params: EmbedImagesParams = PARAMS.embed_images,
    exact_max: int = 1000,
    max_pixels: int = 10_000,
    texts: Embeddings | None = None,
) -> IndexUpdate:
    return update_index(
        [str(address) for address in addresses],
        folder,
        encoders,
        params,
        PARAMS.embed,
        exact_max=exact_max,
        max_pixels=max_pixels,
        texts=texts,
    )


def paths(index: Index) -> list[str]:
    return sorted(Path(path).name for path in index.table["path"].to_pylist())


def changed(result: IndexUpdate) -> dict[str, int]:
    return {change: n for change, n in result.changes.items() if n}


def test_only_new_and_changed_images_are_embedded(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "models" / "photos"
    result = run(out, photos)
    assert (changed(result), result.set_aside, result.n_others, MeanColour.n_encoded) == (
        {"new": 3},
        {"not_an_image": 1},
        1,
        3,
    )
    set_aside = read_table(out / "set_aside.parquet", QUARANTINE).to_pylist()
    assert [(row["file"], row["rule"]) for row in set_aside] == [(str(photos / "broken.JPG"), "not_an_image")]

    write(photos / "yellow.png", "yellow")
    write(photos / "2024" / "blue.jpg", "purple")
    (photos / "red.png").rename(photos / "moved.png")
    (photos / "2024" / "green.webp").unlink()
    result = run(out)
    assert changed(result) == {"new": 1, "changed": 1, "moved": 1, "gone": 1}
    assert MeanColour.n_encoded == 5
    assert paths(Index.load(out)) == ["blue.jpg", "moved.png", "yellow.png"]


def test_an_unchanged_folder_publishes_no_version(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "index"
    assert run(out, photos).published
    version = out.resolve()
    result = run(out)
    assert (result.published, changed(result), out.resolve()) == (False, {"unchanged": 3}, version)
    assert run(out, photos / "2024").published
    assert paths(Index.load(out)) == ["blue.jpg", "green.webp"]


def test_an_image_is_its_own_nearest_neighbour_and_has_colours(photos: Path, tmp_path: Path) -> None:
    index = run(tmp_path / "index", photos).index
    row = index.table["colours"].to_pylist().index(["blue"])
    assert index.table["path"][row].as_py().endswith("2024/blue.jpg")
    assert index.nearest(index.vectors["clip"].take(slice(row, row + 1)), 1)[0].tolist() == [row]
    assert index.table["width"].to_pylist() == [60] * 3
    assert all(len(image_id) == 20 for image_id in index.table["image_id"].to_pylist())


def test_an_fsspec_address_is_indexed(photos: Path, tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.put(str(photos), "/album", recursive=True)
    result = run(tmp_path / "index", "memory://album")
    assert changed(result) == {"new": 3}
    assert "memory:///album/2024/blue.jpg" in result.index.table["path"].to_pylist()
    assert changed(run(tmp_path / "index")) == {"unchanged": 3}
    memory.rm("/album", recursive=True)


@pytest.mark.parametrize("name", ["nowhere", "empty"])
def test_addresses_without_images_are_errors(name: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=f"{name}: (none of 0 files is an image|the file or folder does not exist)"):
        list_image_files([str(tmp_path / name)])


def test_a_missing_folder_is_an_error_and_keeps_the_index(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "index"
    run(out, photos)
    photos.rename(tmp_path / "unmounted")
    with pytest.raises(InputError, match="the file or folder does not exist"):
        run(out)
    assert len(Index.load(out).table) == 3
    with pytest.raises(SearchError, match="no index to update"):
        run(tmp_path / "other")


@pytest.mark.parametrize("damaged", ["clip.faiss", "metadata.parquet"])
def test_a_damaged_index_is_built_again(
    damaged: str, photos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "index"
    run(out, photos)
    old_table = read_table(out / "metadata.parquet", INDEXED_IMAGES).drop_columns(["colours"])
    if damaged == "metadata.parquet":
        pq.write_table(old_table, out / damaged)
    else:
        (out / damaged).write_bytes(b"half")
    with pytest.raises(SearchError, match="no index to update"):
        run(out)
    assert changed(run(out, photos)) == {"new": 3}
    assert "The index cannot be read and will be rebuilt" in caplog.text
    assert len(Index.load(out).table) == MeanColour.n_encoded == 3


def test_an_address_that_lost_its_images_is_an_error(photos: Path, tmp_path: Path) -> None:
    out, disk = tmp_path / "index", tmp_path / "disk"
    write(disk / "white.png", "white")
    run(out, photos, disk)
    (disk / "white.png").unlink()
    with pytest.raises(InputError, match=r"disk: none of .* is an image.* or mount"):
        run(out)
    assert len(Index.load(out).table) == 4


def test_another_exact_max_builds_the_index_again(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "index"
    run(out, photos)
    assert run(out, exact_max=2).published
    assert Index.load(out).describe()["kind"] == "IVF3,SQfp16"
    assert not run(out, exact_max=2).published
    assert run(out).published


def test_images_with_too_many_pixels_are_set_aside(photos: Path, tmp_path: Path) -> None:
    result = run(tmp_path / "index", photos, max_pixels=60 * 40)
    assert result.set_aside == {"not_an_image": 1}
    write(photos / "large.png", "white", (60, 41))
    result = run(tmp_path / "index", photos, max_pixels=60 * 40)
    assert result.set_aside == {"not_an_image": 1, "too_large": 1}


def test_vectors_are_in_the_order_of_params(photos: Path, tmp_path: Path) -> None:
    encoders = {"first": PARAMS.embed_images.encoders["clip"]} | PARAMS.embed_images.encoders
    section = PARAMS.embed_images.model_copy(update={"encoders": encoders})
    index = run(tmp_path / "index", photos, encoders=["clip", "first"], params=section).index
    assert (index.encoder, list(index.vectors)) == ("clip", ["first", "clip"])


def test_recall_is_not_measured_with_texts_of_other_weights(photos: Path, tmp_path: Path) -> None:
    texts = Embeddings(["t"], np.ones((1, 1), dtype=np.float32), {"weights_sha256": "former weights"})
    index = run(tmp_path / "index", photos, texts=texts).index
    assert index.describe()["recall_at_10"] == 1


def test_skipped_names_and_links_are_logged(photos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    try:
        write(Path(os.fsdecode(os.fsencode(photos) + b"/caf\xe9.png")), "red")
    except OSError as error:
        pytest.skip(f"the file system only supports UTF-8 names: {error}")
    (photos / "link").symlink_to(tmp_path, target_is_directory=True)
    (photos / "gone.png").symlink_to(tmp_path / "nowhere.png")
    assert changed(run(tmp_path / "index", photos)) == {"new": 3}
    assert "skipped 1 images whose names are not valid UTF-8" in caplog.text
    assert f"skipped 1 linked folders, e.g. {photos}/link." in caplog.text


def test_an_archive_is_indexed(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(photos / "100% #1?.png", "white")
    shutil.make_archive(str(tmp_path / "album"), "zip", photos)
    monkeypatch.chdir(tmp_path)
    result = run(tmp_path / "index", "zip://::album.zip")  # without modification times
    assert (changed(result), result.set_aside) == ({"new": 4}, {"not_an_image": 1})
    assert f"zip://100% #1?.png::{tmp_path}/album.zip" in result.index.table["path"].to_pylist()
    assert result.index.table["modified"].null_count == 4
    assert changed(run(tmp_path / "index")) == {"unchanged": 4}
    assert set(list_image_files(["zip://2024::album.zip"])[0]["path"]) < set(result.index.table["path"].to_pylist())


def test_an_address_without_sizes_is_indexed(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = fsspec.filesystem("memory")
    memory.put(str(photos), "/album", recursive=True)
    listed = {path: {"name": path, "size": None} for path in memory.find("/album")}
    with monkeypatch.context() as patched:
        patched.setattr(type(memory), "find", lambda *_, **__: listed)
        result = run(tmp_path / "index", "memory://album")
        assert changed(result) == {"new": 3}
        assert min(result.index.table["bytes"].to_pylist()) > 0
        assert changed(run(tmp_path / "index")) == {"unchanged": 3}
    memory.rm("/album", recursive=True)


def test_an_interrupted_update_resumes(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "index"
    for path in photos.rglob("*"):
        os.utime(path, (1, 1))  # old enough for its hash to be saved
    with monkeypatch.context() as patched:
        patched.setattr(update, "build_index", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run(out, photos)
    assert not out.exists()
    with monkeypatch.context() as patched:
        patched.setattr("kadr.collection.scan.scan_image", scan_only_broken)
        assert changed(run(out, photos)) == {"new": 3}
    assert MeanColour.n_encoded == 3
    assert not (tmp_path / ".index" / "notes").exists()


def interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def scan_only_broken(file: dict, max_pixels: int) -> dict:
    assert file["path"].endswith("broken.JPG")
    return scan_image(file, max_pixels)


def test_a_full_disk_keeps_the_old_version(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "index"
    run(out, photos)
    write(photos / "yellow.png", "yellow")

    def full(_self: Index, folder: Path) -> None:
        (folder / "partial").touch()
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Index, "write", full)
        with pytest.raises(SearchError, match=r"No space left.*The old version stays"):
            run(out)
    assert len(Index.load(out).table) == 3
    assert not list((tmp_path / ".index").glob("*.partial"))
    assert len(run(out).index.table) == 4


def test_only_one_process_updates_an_index(photos: Path, tmp_path: Path) -> None:
    versions = Versions(tmp_path / "index")
    with versions.lock(), pytest.raises(SearchError, match="another process is updating"):
        run(tmp_path / "index", photos)
    run(tmp_path / "index", photos)


def test_an_existing_folder_is_not_replaced(photos: Path) -> None:
    with pytest.raises(SearchError, match="is a file or folder, expected a link"):
        run(photos, photos)


WRITER = """
import sys
from pathlib import Path
from kadr.index import Versions
versions = Versions(Path(sys.argv[1]))
number = 0
while True:
    with versions.lock(), versions.publish() as folder:
        for part in ("one", "two"):
            (folder / part).write_text(str(number))
    number += 1
"""


def test_readers_see_complete_versions_while_writers_are_killed(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    seen: set[Path] = set()
    for killed in range(3):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(folder)])
        while writer.poll() is None:
            if folder.exists():
                version = folder.resolve()
                seen.add(version)
                if len(seen) == 3 * (killed + 1):
                    writer.send_signal(signal.SIGKILL)
                one, two = ((version / part).read_text() for part in ("one", "two"))
                assert one == two
            time.sleep(0.002)
        assert folder.exists()
    Versions(folder)
    assert len(list((tmp_path / ".index").glob("v*"))) <= 4


def scan_with_exif(path: Path, values: dict[int, object], place: dict[int, object]) -> dict:
    exif = Image.Exif()
    exif.get_ifd(0x8769).update(values)
    exif.get_ifd(0x8825).update(place)
    exif[0x0112] = 6
    Image.new("RGB", (60, 40), "white").save(path, exif=exif)
    return scan_image({"path": str(path), "bytes": None, "modified": None})


def test_exif_time_and_place_are_read(tmp_path: Path) -> None:
    place = {1: "S", 2: (33.0, 30.0, 36.0), 3: "E", 4: (151.0, 0.0, 0.0)}
    row = scan_with_exif(tmp_path / "a.jpg", {0x9003: "2024:02:29 10:11:12"}, place)
    assert row["taken"] == datetime(2024, 2, 29, 10, 11, 12)
    assert (row["latitude"], row["longitude"]) == (-33.51, 151.0)
    assert (row["width"], row["height"], row["status"]) == (40, 60, "ok")


@pytest.mark.parametrize("taken", ["0000:00:00 00:00:00", "yesterday", ""])
def test_invalid_exif_values_are_none(tmp_path: Path, taken: str) -> None:
    row = scan_with_exif(tmp_path / "a.jpg", {0x9003: taken}, {2: (99.0, 0.0, 0.0)})
    assert (row["taken"], row["latitude"], row["longitude"], row["status"]) == (None, None, None, "ok")


@pytest.mark.parametrize(
    ("colours", "names"),
    [(["red"], ["red"]), (["navy", "navy", "white"], ["blue", "white"]), (["gold", "black"], ["black", "yellow"])],
)
def test_dominant_colours(colours: Sequence[str], names: list[str]) -> None:
    image = Image.new("RGB", (60, 30 * len(colours)))
    for row, colour in enumerate(colours):
        image.paste(colour, (0, 30 * row, 60, 30 * (row + 1)))
    assert sorted(dominant_colours(image)) == sorted(names)
