"""Indexing any folders: what is listed and seen, and that only what has changed is read and embedded."""

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

from kadr.collection import index_photos, update
from kadr.collection.listing import list_files
from kadr.collection.scan import look
from kadr.encoders.base import Identity, ImageEncoder, Pixels, unit
from kadr.errors import InputError, SearchError
from kadr.index import Index, Versions
from kadr.index.colours import colours_of
from kadr.io.embeddings import Embeddings, Vectors
from kadr.io.schemas import INDEXED, QUARANTINE, read_table
from kadr.params import Params, load_params

PARAMS = load_params(Path(__file__).parents[3] / "params.yaml")


class Mean(ImageEncoder):
    """A photo's mean colour."""

    seen = 0

    def __init__(self, _spec: object = None, _precision: object = None) -> None:
        self.identity, self.dim = Identity("mean", "mean", "0", "0", "fp32"), 3

    def prepare(self, image: Image.Image) -> Pixels:
        return np.asarray(image).reshape(-1, 3).mean(axis=0)

    def encode(self, photos: Sequence[Pixels]) -> Vectors:
        Mean.seen += len(photos)
        return unit(np.stack(photos) + 1, "mean")


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of three photos, one hidden, a text and a photo that is none."""
    monkeypatch.setenv("KADR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(update, "load_image_encoder", Mean)
    monkeypatch.setattr(Mean, "seen", 0)
    folder = tmp_path / "photos"
    for name, colour in (
        ("red.png", "red"),
        ("2024/blue.jpg", "blue"),
        ("2024/green.webp", "green"),
        (".h.png", "red"),
    ):
        write(folder / name, colour)
    (folder / "notes.txt").write_text("no photo")
    (folder / "broken.JPG").write_bytes(b"no photo either")
    return folder


def write(path: Path, colour: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (60, 40), colour).save(path)


def run(folder: Path, *addresses: object, params: Params = PARAMS) -> update.Update:
    return index_photos([str(address) for address in addresses], folder, params, ["clip"])


def paths(index: Index) -> list[str]:
    return sorted(Path(path).name for path in index.photos["path"].to_pylist())


def changed(done: update.Update) -> dict[str, int]:
    return {what: n for what, n in done.changes.items() if n}


def test_only_what_has_changed_is_embedded(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "models" / "photos"
    done = run(out, photos)
    assert (changed(done), done.set_aside, done.n_others, Mean.seen) == ({"new": 3}, {"not_an_image": 1}, 1, 3)
    aside = read_table(out / "set_aside.parquet", QUARANTINE).to_pylist()
    assert [(row["file"], row["rule"]) for row in aside] == [(str(photos / "broken.JPG"), "not_an_image")]

    write(photos / "yellow.png", "yellow")
    write(photos / "2024" / "blue.jpg", "purple")
    (photos / "red.png").rename(photos / "moved.png")
    (photos / "2024" / "green.webp").unlink()
    done = run(out)
    assert changed(done) == {"new": 1, "changed": 1, "moved": 1, "gone": 1}
    assert Mean.seen == 5
    assert paths(Index.load(out)) == ["blue.jpg", "moved.png", "yellow.png"]


def test_nothing_changed_nothing_published(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "index"
    assert run(out, photos).published
    version = out.resolve()
    done = run(out)
    assert (done.published, changed(done), out.resolve()) == (False, {"unchanged": 3}, version)
    assert run(out, photos / "2024").published
    assert paths(Index.load(out)) == ["blue.jpg", "green.webp"]


def test_a_photo_finds_itself_and_knows_its_colours(photos: Path, tmp_path: Path) -> None:
    index = run(tmp_path / "index", photos).index
    row = index.photos["colours"].to_pylist().index(["blue"])
    assert index.photos["path"][row].as_py().endswith("2024/blue.jpg")
    assert index.nearest(index.vectors["clip"].take(slice(row, row + 1)), 1)[0].tolist() == [row]
    assert index.photos["width"].to_pylist() == [60] * 3
    assert all(len(image_id) == 20 for image_id in index.photos["image_id"].to_pylist())


def test_an_fsspec_address(photos: Path, tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.put(str(photos), "/album", recursive=True)
    done = run(tmp_path / "index", "memory://album")
    assert changed(done) == {"new": 3}
    assert "memory:///album/2024/blue.jpg" in done.index.photos["path"].to_pylist()
    assert changed(run(tmp_path / "index")) == {"unchanged": 3}
    memory.rm("/album", recursive=True)


@pytest.mark.parametrize("name", ["nowhere", "empty"])
def test_addresses_without_photos(name: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=f"{name}: no "):
        list_files([str(tmp_path / name)])


def test_a_folder_that_is_gone_leaves_the_index(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "index"
    run(out, photos)
    photos.rename(tmp_path / "unmounted")
    with pytest.raises(InputError, match="no such file or folder"):
        run(out)
    assert len(Index.load(out).photos) == 3
    with pytest.raises(SearchError, match="there is no index yet"):
        run(tmp_path / "other")


@pytest.mark.parametrize("lost", ["clip.faiss", "metadata.parquet"])
def test_an_index_that_cannot_be_read_is_made_anew(
    lost: str, photos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "index"
    run(out, photos)
    photos_as_of_old = read_table(out / "metadata.parquet", INDEXED).drop_columns(["colours"])
    if lost == "metadata.parquet":
        pq.write_table(photos_as_of_old, out / lost)
    else:
        (out / lost).write_bytes(b"half")
    with pytest.raises(SearchError, match="no index yet that can be read"):
        run(out)
    assert changed(run(out, photos)) == {"new": 3}
    assert "made anew, because the old one cannot be read" in caplog.text
    assert len(Index.load(out).photos) == Mean.seen == 3


def test_one_address_without_photos_leaves_the_index(photos: Path, tmp_path: Path) -> None:
    out, disk = tmp_path / "index", tmp_path / "disk"
    write(disk / "white.png", "white")
    run(out, photos, disk)
    (disk / "white.png").unlink()  # as where the disk is not mounted
    with pytest.raises(InputError, match=r"disk: no photos .* or mount"):
        run(out)
    assert len(Index.load(out).photos) == 4


def test_a_new_exact_max_makes_the_index_anew(photos: Path, tmp_path: Path) -> None:
    out, few = tmp_path / "index", PARAMS.model_copy(update={"index": PARAMS.index.model_copy(update={"exact_max": 2})})
    run(out, photos)
    assert run(out, params=few).published
    assert Index.load(out).describe()["kind"] == "IVF3,SQfp16"
    assert not run(out, params=few).published
    assert run(out).published


def test_the_vectors_stand_in_the_order_of_params(photos: Path, tmp_path: Path) -> None:
    encoders = {"first": PARAMS.embed_images.encoders["clip"]} | PARAMS.embed_images.encoders
    section = PARAMS.embed_images.model_copy(update={"encoders": encoders})
    params = PARAMS.model_copy(update={"embed_images": section})
    index = index_photos([str(photos)], tmp_path / "index", params, ["clip", "first"]).index
    assert (index.encoder, list(index.vectors)) == ("clip", ["first", "clip"])


def test_texts_by_other_weights_do_not_measure_the_recall(photos: Path, tmp_path: Path) -> None:
    texts = Embeddings(["t"], np.ones((1, 1), dtype=np.float32), {"weights_sha256": "of the CLIP before"})
    index = index_photos([str(photos)], tmp_path / "index", PARAMS, ["clip"], texts=texts).index
    assert index.describe()["recall_at_10"] == 1


def test_names_and_links_that_are_passed_over_are_counted(
    photos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    try:
        write(Path(os.fsdecode(os.fsencode(photos) + b"/caf\xe9.png")), "red")
    except OSError as error:
        pytest.skip(f"this file system has UTF-8 names alone: {error}")
    (photos / "link").symlink_to(tmp_path, target_is_directory=True)
    (photos / "gone.png").symlink_to(tmp_path / "nowhere.png")
    assert changed(run(tmp_path / "index", photos)) == {"new": 3}
    assert "1 photos are passed over, because their names are not UTF-8" in caplog.text
    assert f"1 folders are links and are not followed ({photos}/link)" in caplog.text


def test_an_archive(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(photos / "100% #1?.png", "white")
    shutil.make_archive(str(tmp_path / "album"), "zip", photos)
    monkeypatch.chdir(tmp_path)
    done = run(tmp_path / "index", "zip://::album.zip")  # its files have no time of modification
    assert (changed(done), done.set_aside) == ({"new": 4}, {"not_an_image": 1})
    assert f"zip://100% #1?.png::{tmp_path}/album.zip" in done.index.photos["path"].to_pylist()
    assert done.index.photos["modified"].null_count == 4
    assert changed(run(tmp_path / "index")) == {"unchanged": 4}
    assert set(list_files(["zip://2024::album.zip"])[0]["path"]) < set(done.index.photos["path"].to_pylist())


def test_a_store_that_does_not_tell_sizes(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = fsspec.filesystem("memory")
    memory.put(str(photos), "/album", recursive=True)
    listed = {path: {"name": path, "size": None} for path in memory.find("/album")}
    with monkeypatch.context() as patched:
        patched.setattr(type(memory), "find", lambda *_, **__: listed)
        done = run(tmp_path / "index", "memory://album")
        assert changed(done) == {"new": 3}
        assert min(done.index.photos["bytes"].to_pylist()) > 0
        assert changed(run(tmp_path / "index")) == {"unchanged": 3}
    memory.rm("/album", recursive=True)


def test_what_an_interrupted_run_saw_is_not_looked_at_again(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "index"
    for path in photos.rglob("*"):
        os.utime(path, (1, 1))  # settled: their fingerprints are kept
    with monkeypatch.context() as patched:
        patched.setattr(update, "build_index", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run(out, photos)
    assert not out.exists()
    with monkeypatch.context() as patched:
        patched.setattr("kadr.collection.scan.look", only_broken)
        assert changed(run(out, photos)) == {"new": 3}
    assert Mean.seen == 3
    assert not (tmp_path / ".index" / "notes").exists()


def interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def only_broken(file: dict) -> dict:
    assert file["path"].endswith("broken.JPG")
    return look(file)


def test_a_full_disk_leaves_the_old_version(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "index"
    run(out, photos)
    write(photos / "yellow.png", "yellow")

    def full(_self: Index, folder: Path) -> None:
        (folder / "half").touch()
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Index, "write", full)
        with pytest.raises(SearchError, match=r"No space left.*the old one stays"):
            run(out)
    assert len(Index.load(out).photos) == 3
    assert not list((tmp_path / ".index").glob("*.partial"))
    assert len(run(out).index.photos) == 4


def test_a_second_indexer_is_refused(photos: Path, tmp_path: Path) -> None:
    versions = Versions(tmp_path / "index")
    with versions.alone(), pytest.raises(SearchError, match="another process is at work"):
        run(tmp_path / "index", photos)
    run(tmp_path / "index", photos)


def test_a_folder_of_others_is_not_replaced(photos: Path) -> None:
    with pytest.raises(SearchError, match="is there already"):
        run(photos, photos)


WRITER = """
import sys
from pathlib import Path
from kadr.index import Versions
versions = Versions(Path(sys.argv[1]))
number = 0
while True:
    with versions.alone(), versions.new() as folder:
        for part in ("one", "two"):
            (folder / part).write_text(str(number))
    number += 1
"""


def test_readers_see_whole_versions_whenever_a_writer_is_killed(tmp_path: Path) -> None:
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


def exif_photo(path: Path, values: dict[int, object], place: dict[int, object]) -> dict:
    exif = Image.Exif()
    exif.get_ifd(0x8769).update(values)
    exif.get_ifd(0x8825).update(place)
    exif[0x0112] = 6
    Image.new("RGB", (60, 40), "white").save(path, exif=exif)
    return look({"path": str(path), "bytes": None, "modified": None})


def test_place_and_time(tmp_path: Path) -> None:
    place = {1: "S", 2: (33.0, 30.0, 36.0), 3: "E", 4: (151.0, 0.0, 0.0)}
    row = exif_photo(tmp_path / "a.jpg", {0x9003: "2024:02:29 10:11:12"}, place)
    assert row["taken"] == datetime(2024, 2, 29, 10, 11, 12)
    assert (row["latitude"], row["longitude"]) == (-33.51, 151.0)
    assert (row["width"], row["height"], row["status"]) == (40, 60, "ok")


@pytest.mark.parametrize("taken", ["0000:00:00 00:00:00", "yesterday", ""])
def test_place_and_time_of_nonsense(tmp_path: Path, taken: str) -> None:
    row = exif_photo(tmp_path / "a.jpg", {0x9003: taken}, {2: (99.0, 0.0, 0.0)})
    assert (row["taken"], row["latitude"], row["longitude"], row["status"]) == (None, None, None, "ok")


@pytest.mark.parametrize(
    ("colours", "names"),
    [(["red"], ["red"]), (["navy", "navy", "white"], ["blue", "white"]), (["gold", "black"], ["black", "yellow"])],
)
def test_the_names_of_colours(colours: Sequence[str], names: list[str]) -> None:
    photo = Image.new("RGB", (60, 30 * len(colours)))
    for place, colour in enumerate(colours):
        photo.paste(colour, (0, 30 * place, 60, 30 * (place + 1)))
    assert sorted(colours_of(photo)) == sorted(names)
