"""Tests of index updates: listing, scanning, embedding and publishing."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import fsspec
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from pyarrow import feather

from kadr.collection import update
from kadr.collection.listing import list_images
from kadr.collection.scan import scan_images
from kadr.errors import EncoderError, InputError, SearchError
from kadr.index import Index, Versions
from kadr.index.checksums import checksums
from kadr.index.colours import dominant_colours
from kadr.io.embeddings import Embeddings
from kadr.io.image_scan import ImageScan, scan_file
from kadr.io.schemas import QUARANTINE, read_table
from kadr.params import DecodingParams
from tests.kadr.collection.conftest import PARAMS, MeanColour, changed, paths, run, write


def test_only_new_and_changed_images_are_embedded(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "models" / "photos"
    result = run(out, photos)
    assert (changed(result), result.set_aside, result.passed_over.suffixes, MeanColour.n_encoded) == (
        {"new": 3},
        {"not_an_image": 1},
        {".txt": 1},
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


def test_the_index_obeys_the_engine(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="the extra `ray` is not installed")
    ray = PARAMS.embed.ray.model_copy(update={"address": "127.0.0.1:1"})
    params = PARAMS.model_copy(update={"embed": PARAMS.embed.model_copy(update={"engine": "ray", "ray": ray})})
    monkeypatch.setattr("tests.kadr.collection.conftest.PARAMS", params)
    with pytest.raises(EncoderError, match=r"no Ray cluster responds at 127\.0\.0\.1:1"):
        run(tmp_path / "index", photos)


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
        list_images([str(tmp_path / name)])


def test_a_missing_folder_is_an_error_and_keeps_the_index(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "index"
    run(out, photos)
    photos.rename(tmp_path / "unmounted")
    with pytest.raises(InputError, match="the file or folder does not exist"):
        run(out)
    assert len(Index.load(out).table) == 3
    with pytest.raises(SearchError, match="no index to update"):
        run(tmp_path / "other")


@pytest.mark.parametrize("content", [b"", b"half"], ids=["empty", "cut"])
def test_the_addresses_are_known_if_the_table_is_damaged(content: bytes, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "index"
    run(out, photos, exclude=["red.png"])
    (out / "metadata.arrow").write_bytes(content)
    update = run(out)
    assert len(update.index.table) == 2
    assert update.exclude == ["red.png"]


def test_a_damaged_description_needs_the_addresses(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "index"
    run(out, photos)
    (out / "index.json").write_bytes(b"[]")
    with pytest.raises(SearchError, match="does not contain readable addresses"):
        run(out)
    assert len(run(out, photos).index.table) == 3


@pytest.mark.parametrize("damaged", ["clip.faiss", "metadata.arrow"])
def test_a_damaged_index_is_built_again(
    damaged: str, photos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "index"
    run(out, photos)
    old_table = Index.load(out).table.drop_columns(["row"])
    (out / damaged).unlink()
    if damaged == "metadata.arrow":
        feather.write_feather(old_table, out / damaged)
    else:
        (out / damaged).write_bytes(b"half")
    assert changed(run(out)) == {"unchanged": 3}
    assert "This command rebuilds the index." in caplog.text
    assert "Rebuild" not in caplog.text
    assert len(Index.load(out).table) == MeanColour.n_encoded == 3


def test_an_index_of_an_older_version_is_completed(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "index"
    exif = Image.Exif()
    exif[0x010E] = "A red wall"
    Image.new("RGB", (60, 40), "red").save(photos / "red.png", exif=exif)
    run(out, photos)
    new = ["camera", "description", "image_text"]
    pq.write_table(Index.load(out).table.drop_columns(new), out / "metadata.parquet")
    (out / "metadata.arrow").unlink()
    (out / "texts.sqlite").unlink()
    description = json.loads((out / "index.json").read_text())
    description["sha256"] = checksums(out.resolve()) | {"index.json": None}
    del description["sha256"]["index.json"]
    (out / "index.json").write_text(json.dumps(description))
    older = Index.load(out, verify_all=True)
    assert (older.missing_columns, older.text_index) == (frozenset(new), None)
    update = run(out)
    assert (changed(update), update.published, MeanColour.n_encoded) == ({"unchanged": 3}, True, 3)
    text_index = Index.load(out).text_index
    assert text_index is not None
    assert len(text_index.search("wall").rows) == 1
    assert not run(out).published


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


def test_an_archive_is_indexed(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(photos / "100% #1?.png", "white")
    shutil.make_archive(str(tmp_path / "album"), "zip", photos)
    monkeypatch.chdir(tmp_path)
    result = run(tmp_path / "index", "zip://::album.zip")  # without modification times
    assert (changed(result), result.set_aside) == ({"new": 4}, {"not_an_image": 1})
    assert f"zip://100% #1?.png::{tmp_path}/album.zip" in result.index.table["path"].to_pylist()
    assert result.index.table["modified"].null_count == 4
    assert changed(run(tmp_path / "index")) == {"unchanged": 4}
    assert set(list_images(["zip://2024::album.zip"]).files["path"]) < set(result.index.table["path"].to_pylist())


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
        patched.setattr("kadr.collection.scan.scan_bounded", scan_only_broken)
        assert changed(run(out, photos)) == {"new": 3}
    assert MeanColour.n_encoded == 3
    assert not (tmp_path / ".index" / "notes").exists()


def test_times_without_metadata_are_marked(photos: Path, tmp_path: Path) -> None:
    write(photos / "IMG_20190815_100000.png", "yellow")
    for path, seconds in ((photos / "red.png", 1_600_000_000), (photos / "2024" / "blue.jpg", 10**12)):
        os.utime(path, (seconds, seconds))

    def times() -> dict[str, tuple[datetime | None, str | None]]:
        rows = run(tmp_path / "index", photos).index.table.to_pylist()
        return {Path(row["path"]).name: (row["taken"], row["taken_source"]) for row in rows}

    found = times()
    assert found["IMG_20190815_100000.png"] == (datetime(2019, 8, 15, 10), "name")
    assert found["red.png"] == (datetime(2020, 9, 13, 12, 26, 40), "file")
    assert found["blue.jpg"] == (None, None)
    (photos / "IMG_20190815_100000.png").rename(photos / "2021-02-03.png")
    assert times()["2021-02-03.png"] == (datetime(2021, 2, 3), "name")


def interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def scan_only_broken(_scan: object, items: Iterable[tuple[str, None]], limits: DecodingParams) -> Iterator[ImageScan]:
    for path, _ in items:
        assert path.endswith("broken.JPG")
        yield scan_file(path, limits)


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
        with subprocess.Popen([sys.executable, "-c", WRITER, str(folder)]) as writer:
            try:
                while len(seen) < 3 * (killed + 1):
                    with suppress(FileNotFoundError):  # the first version, or a version that the writer has removed
                        version = folder.resolve(strict=True)
                        one, two = ((version / part).read_text() for part in ("one", "two"))
                        assert one == two
                        seen.add(version)
                    assert writer.poll() is None
                    time.sleep(0.002)
            finally:
                writer.kill()
        assert folder.exists()
    Versions(folder)
    assert len(list((tmp_path / ".index").glob("v*"))) <= 4


def scan_with_exif(path: Path, values: dict[int, object], place: dict[int, object]) -> dict:
    exif = Image.Exif()
    exif.get_ifd(0x8769).update(values)
    exif.get_ifd(0x8825).update(place)
    exif[0x0112] = 6
    Image.new("RGB", (60, 40), "white").save(path, exif=exif)
    return next(scan_images([{"path": str(path), "bytes": None, "modified": None}]))


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
