"""Tests for the import of datasets that store images in containers."""

import io
import json
import logging
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from kadr.errors import InputError
from kadr.ingest.containers import dataset_import
from kadr.ingest.containers.dataset_import import ImportSummary, import_dataset
from kadr.ingest.containers.tar_shards import TarShards
from kadr.params import DecodingParams

LIMITS = DecodingParams(max_megabytes=1)

HF_METADATA = {b"huggingface": json.dumps({"info": {"features": {"image": {"_type": "Image"}}}}).encode()}


def encode(colour: str, format_: str = "JPEG") -> bytes:
    """Return an image file of one colour."""
    file = io.BytesIO()
    Image.new("RGB", (24, 16), colour).save(file, format_)
    return file.getvalue()


def run(source: Path, out: Path, **options: bool) -> ImportSummary:
    return import_dataset(source, out, LIMITS, **options)


def read_captions(out: Path) -> list[list[str]]:
    return pd.read_csv(out / "captions.csv", dtype=str).values.tolist()


def read_set_aside(out: Path) -> list[list[str]]:
    table = pd.read_csv(out / "set_aside.csv", dtype=str, keep_default_na=False)
    return table[["place", "reason"]].values.tolist()


def write_tar(path: Path, members: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def make_img2dataset(folder: Path) -> None:
    """Write two shards, the Parquet file beside the first shard, and the statistics that img2dataset writes."""
    meta = {"url": "http://x/1.jpg", "caption": "A dog, running", "key": "000000001", "status": "success", "width": 24}
    write_tar(
        folder / "00000.tar",
        {
            "000000000.jpg": encode("red"),
            "000000000.json": json.dumps({**meta, "caption": "A red ball", "similarity": 0.3}).encode(),
            "000000000.txt": b"A  red ball",
            "000000001.jpg": encode("blue"),
            "000000001.json": json.dumps(meta).encode(),
            "000000002.jpg": encode("green"),
        },
    )
    table = pa.table(
        {"key": ["000000002", "000000003"], "caption": ["A green wall", "Not downloaded"], "url": ["u", "v"]}
    )
    pq.write_table(table, folder / "00000.parquet")
    (folder / "00000_stats.json").write_text("{}")
    write_tar(folder / "00001.tar.gz", {"000010000.png": encode("white", "PNG"), "000010000.txt": b"Snow"}, "w:gz")


def make_hub_parquet(folder: Path) -> None:
    """Write the Parquet file of a dataset on the Hugging Face Hub, with a list of captions per image."""
    image = pa.array(
        [
            {"bytes": encode("red"), "path": "ball.jpg"},
            {"bytes": encode("blue", "PNG"), "path": None},
            {"bytes": None, "path": "gone.jpg"},
        ],
        pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
    )
    captions = [["A red ball", "A ball"], ["A blue wall"], ["Gone"]]
    table = pa.table({"image": image, "caption": captions, "sentids": [[1, 2], [3], [4]]})
    (folder / "data").mkdir()
    pq.write_table(table.replace_schema_metadata(HF_METADATA), folder / "data" / "train-00000-of-00001.parquet")


def make_saved_dataset(folder: Path) -> None:
    """Write a folder as `DatasetDict.save_to_disk` writes it."""
    (folder / "dataset_dict.json").write_text('{"splits": ["train"]}')
    part = folder / "train"
    part.mkdir()
    image = pa.array(
        [{"bytes": encode("red"), "path": "ball.jpg"}], pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    )
    table = pa.table({"image": image, "text": ["A red ball"]})
    for name in ("data-00000-of-00001.arrow", "cache-1a2b.arrow"):
        with pa.ipc.new_stream(str(part / name), table.schema) as writer:
            writer.write_table(table)
    (part / "state.json").write_text(json.dumps({"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}))
    (part / "dataset_info.json").write_text("{}")


def make_image_folder(folder: Path) -> None:
    """Write an `imagefolder` with metadata in one split, and a caption file per image in the other split."""
    (folder / "train").mkdir()
    (folder / "test").mkdir()
    (folder / "train" / "0.jpg").write_bytes(encode("red"))
    (folder / "train" / "metadata.csv").write_text("file_name,text\n0.jpg,A red ball\n0.jpg,A ball\n9.jpg,No file\n")
    (folder / "test" / "0.jpg").write_bytes(encode("blue"))
    (folder / "test" / "0.txt").write_text("A blue wall")
    (folder / "test" / "Thumbs.db").write_text("")


CASES: list[tuple[Callable[[Path], None], list[list[str]], list[list[str]]]] = [
    (
        make_img2dataset,
        [
            ["000000000.jpg", "A red ball"],
            ["000000001.jpg", "A dog, running"],
            ["000000002.jpg", "A green wall"],
            ["000010000.png", "Snow"],
        ],
        [],
    ),
    (
        make_hub_parquet,
        [["ball.jpg", "A red ball"], ["ball.jpg", "A ball"], ["train-00000-of-00001-000001.png", "A blue wall"]],
        [["train-00000-of-00001.parquet, row 3", "image_missing"]],
    ),
    (make_saved_dataset, [["ball.jpg", "A red ball"]], []),
    (
        make_image_folder,
        [["test/0.jpg", "A blue wall"], ["train/0.jpg", "A red ball"], ["train/0.jpg", "A ball"]],
        [["train/9.jpg", "image_missing"]],
    ),
]


@pytest.mark.parametrize(("make", "captions", "set_aside"), CASES)
def test_the_images_and_captions_of_a_dataset_are_imported(
    tmp_path: Path, make: Callable[[Path], None], captions: list[list[str]], set_aside: list[list[str]]
) -> None:
    source, out = tmp_path / "source", tmp_path / "raw" / "out"
    source.mkdir()
    make(source)
    summary = run(source, out)
    assert read_captions(out) == captions
    assert read_set_aside(out) == set_aside
    images = {path.relative_to(out / "images").as_posix() for path in (out / "images").rglob("*") if path.is_file()}
    assert images == {image for image, _ in captions}
    assert (summary.n_images, summary.n_captions, summary.table) == (len(images), len(captions), out / "captions.csv")
    assert [path.name for path in tmp_path.joinpath("raw").iterdir()] == ["out"]


def test_the_bytes_of_the_images_do_not_change(tmp_path: Path) -> None:
    run(write_tar(tmp_path / "a.tar", {"./x/1.jpg": encode("red"), "./x/1.txt": b"Red"}), tmp_path / "out")
    assert (tmp_path / "out" / "images" / "x" / "1.jpg").read_bytes() == encode("red")


def test_bad_members_of_a_shard_are_set_aside_by_name(tmp_path: Path) -> None:
    shard = write_tar(
        tmp_path / "a.tar",
        {
            "../evil.jpg": encode("red"),
            "/tmp/evil.jpg": encode("red"),
            "1.jpg": encode("red"),
            "2.jpg": encode("blue")[:-200],
            "3.jpg": b"<html>not found</html>",
            "4.jpg": b"",
            "5.jpg": encode("green"),
            "5.txt": b"\xff\xfe\xff",
            "6.png": bytes(1_000_001),
            "7.mp4": b"film",
            "8.txt": b"A caption without an image",
            "._1.jpg": b"resource fork",
            "caf\udce9.jpg": encode("red"),
        },
    )
    with tarfile.open(shard, "a") as archive:
        link = tarfile.TarInfo("9.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    other = write_tar(tmp_path / "b.tar", {"1.jpg": encode("white"), "5.jpg": encode("green"), "5.txt": b"Grass"})
    source = tmp_path / "source"
    source.mkdir()
    for path in (shard, other):
        path.rename(source / path.name)
    run(source, tmp_path / "out")
    assert sorted(read_set_aside(tmp_path / "out")) == sorted(
        [
            ["a.tar: ._1.jpg", "system_file"],
            ["a.tar: ../evil.jpg", "unsafe_name"],
            ["a.tar: /tmp/evil.jpg", "unsafe_name"],
            ["a.tar: 2.jpg", "truncated"],
            ["a.tar: 3.jpg", "not_an_image"],
            ["a.tar: 4.jpg", "empty_file"],
            ["a.tar: 5.txt", "text_damaged"],
            ["a.tar: 6.png", "too_large"],
            ["a.tar: 7.mp4", "other_file"],
            ["a.tar: 8", "caption_without_image"],
            ["a.tar: 9.jpg", "not_a_file"],
            ["a.tar: caf\\xe9.jpg", "unsafe_name"],
            ["b.tar: 1.jpg", "name_taken"],
        ]
    )
    assert read_captions(tmp_path / "out") == [["5.jpg", "Grass"]]
    assert sorted(path.name for path in tmp_path.rglob("*.jpg")) == ["1.jpg", "5.jpg"]


def test_captions_before_and_after_their_images_are_joined(tmp_path: Path) -> None:
    members = {"1.txt": b"Red", "2.jpg": encode("blue"), "1.jpg": encode("red"), "2.txt": b"Blue"}
    run(write_tar(tmp_path / "a.tar", members), tmp_path / "out")
    assert sorted(read_captions(tmp_path / "out")) == [["1.jpg", "Red"], ["2.jpg", "Blue"]]


def test_the_samples_before_a_damage_are_imported(tmp_path: Path) -> None:
    shard = write_tar(tmp_path / "a.tar", {"1.jpg": encode("red"), "1.txt": b"Red", "2.jpg": encode("blue", "BMP")})
    shard.write_bytes(shard.read_bytes()[:2800])
    run(shard, tmp_path / "out")
    assert read_captions(tmp_path / "out") == [["1.jpg", "Red"]]
    assert read_set_aside(tmp_path / "out") == [["a.tar", "file_damaged"]]


def test_rows_with_the_same_file_name_keep_their_images(tmp_path: Path) -> None:
    struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    image = pa.array([{"bytes": encode(colour), "path": "image.jpg"} for colour in ("red", "blue", "red")], struct)
    pq.write_table(pa.table({"image": image, "text": ["Red", "Blue", "Also red"]}), tmp_path / "a.parquet")
    run(tmp_path / "a.parquet", tmp_path / "out")
    assert read_captions(tmp_path / "out") == [
        ["image.jpg", "Red"],
        ["a-000001.jpg", "Blue"],
        ["image.jpg", "Also red"],
    ]


def test_rows_without_a_file_name_share_equal_images(tmp_path: Path) -> None:
    for part, rows in {"a": ["red", "blue", "red"], "b": ["green", "blue"]}.items():
        table = pa.table({"image": [encode(colour) for colour in rows], "text": [f"{part} {c}" for c in rows]})
        pq.write_table(table, tmp_path / f"{part}.parquet")
    summary = run(tmp_path, tmp_path / "out")
    assert read_captions(tmp_path / "out") == [
        ["a-000000.jpg", "a red"],
        ["a-000001.jpg", "a blue"],
        ["b-000000.jpg", "b green"],
        ["a-000001.jpg", "b blue"],
    ]
    assert summary.n_images == len(list((tmp_path / "out" / "images").iterdir())) == 3


def test_the_columns_and_the_images_without_captions_are_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    images = pa.array([{"bytes": encode(colour), "path": None} for colour in ("red", "blue")], struct)
    table = pa.table({"before": images, "after": images, "prompt": ["Red", None], "seed_42": [1, 2]})
    pq.write_table(table, tmp_path / "pairs.parquet")
    with caplog.at_level(logging.INFO):
        summary = run(tmp_path / "pairs.parquet", tmp_path / "out")
    assert "images from before, captions from prompt. Ignored columns: after, seed_42." in caplog.text
    assert (summary.n_captions, summary.n_without_captions) == (1, 1)


def test_captions_without_images_are_listed_if_the_shard_is_damaged(tmp_path: Path) -> None:
    shard = write_tar(tmp_path / "a.tar", {"1.jpg": encode("red"), "2.txt": b"Blue", "3.jpg": encode("blue", "BMP")})
    shard.write_bytes(shard.read_bytes()[:2800])
    run(shard, tmp_path / "out")
    assert read_set_aside(tmp_path / "out") == [["a.tar: 2", "caption_without_image"], ["a.tar", "file_damaged"]]


def test_archives_and_tables_of_urls_are_errors_with_the_next_step(tmp_path: Path) -> None:
    (tmp_path / "train.zip").write_bytes(b"PK")
    pq.write_table(pa.table({"URL": ["http://x/1.jpg"]}), tmp_path / "urls.parquet")
    with pytest.raises(InputError, match=r"If they contain URLs, download the images with img2dataset\."):
        run(tmp_path / "urls.parquet", tmp_path / "out")
    with pytest.raises(InputError, match=r"Extract train\.zip first, and import the extracted folder"):
        run(tmp_path / "train.zip", tmp_path / "out")


def test_ratings_become_a_folder_in_the_long_format(tmp_path: Path) -> None:
    table = pa.table(
        {
            "jpg": [encode("red"), encode("red"), encode("blue")],
            "file_name": ["a.jpg", "a.jpg", "b"],
            "caption": ["A red ball", "A red ball", "A wall"],
            "rating": [4, 5, None],
            "worker_id": ["ann", None, "bob"],
        }
    )
    pq.write_table(table, tmp_path / "rated.parquet")
    summary = run(tmp_path / "rated.parquet", tmp_path / "out")
    assert (tmp_path / "out" / "ratings_long.csv").read_text() == (
        "image,text,rating,rater,time\na.jpg,A red ball,4,ann,\na.jpg,A red ball,5,,\n"
    )
    assert sorted(path.name for path in (tmp_path / "out" / "train_images").iterdir()) == ["a.jpg", "b.jpg"]
    assert summary.table == tmp_path / "out" / "ratings_long.csv"
    assert read_set_aside(tmp_path / "out") == [["b.jpg", "caption_without_rating"]]


def test_an_interrupted_import_resumes_with_the_next_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    source.mkdir()
    make_img2dataset(source)
    read, opened = TarShards.read, []

    def read_until_interrupted(self, source, part, max_bytes):  # type: ignore[no-untyped-def]
        opened.append(part)
        if len(opened) == 2:
            raise KeyboardInterrupt
        yield from read(self, source, part, max_bytes)

    monkeypatch.setattr(TarShards, "read", read_until_interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(source, out)
    assert not out.exists()
    assert run(source, out).resumed == 1
    assert opened == ["00000.tar", "00001.tar.gz", "00001.tar.gz"]
    assert len(read_captions(out)) == 4


def test_an_import_after_the_dataset_changed_starts_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    source.mkdir()
    make_img2dataset(source)
    with monkeypatch.context() as patch:
        patch.setattr(dataset_import, "_finish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run(source, out)
    write_tar(source / "00000.tar", {"1.jpg": encode("red"), "1.txt": b"Red", "1.json": b"{}"})
    summary = run(source, out)
    assert (summary.resumed, read_captions(out)) == (0, [["1.jpg", "Red"], ["000010000.png", "Snow"]])


def test_an_existing_folder_is_replaced_only_by_force(tmp_path: Path) -> None:
    shard = write_tar(tmp_path / "a.tar", {"1.jpg": encode("red"), "1.txt": b"Red"})
    (tmp_path / "out").mkdir()
    with pytest.raises(
        InputError, match=r"out already exists\. Choose another folder with --out, or replace it with --for"
    ):
        run(shard, tmp_path / "out")
    assert run(shard, tmp_path / "out", force=True).n_images == 1


@pytest.mark.parametrize("out", ["data", "data/photos", "data/photos/out"])
def test_an_import_never_replaces_its_dataset(tmp_path: Path, out: str) -> None:
    photos = tmp_path / "data" / "photos"
    (photos / "out").mkdir(parents=True)
    (photos / "1.jpg").write_bytes(encode("red"))
    with pytest.raises(InputError, match=r"overlaps with the dataset .*photos\. Choose another folder with --out"):
        run(photos, tmp_path / out, force=True)
    assert (photos / "1.jpg").is_file()


def test_force_replaces_only_the_result_of_an_import(tmp_path: Path) -> None:
    shard = write_tar(tmp_path / "a.tar", {"1.jpg": encode("red"), "1.txt": b"Red"})
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "diary.txt").write_text("mine")
    with pytest.raises(InputError, match=r"out contains diary\.txt, which `kadr import dataset` did not write"):
        run(shard, tmp_path / "out", force=True)
    assert (tmp_path / "out" / "diary.txt").is_file()


def test_other_files_in_a_folder_of_images_are_listed(tmp_path: Path) -> None:
    for name in ("1.jpg", "clip.mov", "1.txt", "notes.txt", "captions.csv", "Thumbs.db"):
        (tmp_path / name).write_bytes(encode("red") if name == "1.jpg" else b"Red")
    run(tmp_path, tmp_path / "out")
    assert read_captions(tmp_path / "out") == [["1.jpg", "Red"]]
    assert read_set_aside(tmp_path / "out") == [
        ["captions.csv", "other_file"],
        ["clip.mov", "other_file"],
        ["notes.txt", "other_file"],
    ]
    assert "or by `kadr import captions`" in (tmp_path / "out" / "set_aside.csv").read_text()


def test_a_column_of_captions_without_a_number_is_the_first_of_the_numbered_columns(tmp_path: Path) -> None:
    (tmp_path / "1.jpg").write_bytes(encode("red"))
    (tmp_path / "metadata.csv").write_text("file_name,caption,caption_2\n1.jpg,Red,A red square\n")
    run(tmp_path, tmp_path / "out")
    assert read_captions(tmp_path / "out") == [["1.jpg", "Red"], ["1.jpg", "A red square"]]


def test_names_that_are_not_utf8_are_listed_with_escapes(tmp_path: Path) -> None:
    for name in (b"ok.jpg", b"\x8a.jpg"):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(encode("red"))
    run(tmp_path, tmp_path / "out")
    assert read_set_aside(tmp_path / "out") == [[r"\x8a.jpg", "unsafe_name"]]


def test_a_dataset_of_an_unknown_kind_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(
        InputError, match=r"no known kind of dataset\. It contains notes\.txt\. Known kinds:\n  arrow_dataset"
    ):
        run(tmp_path, tmp_path / "out")
    with pytest.raises(
        InputError, match=r"nowhere: the file or folder does not exist\. Expected a dataset on this machine"
    ):
        run(tmp_path / "nowhere", tmp_path / "out")


def test_a_dataset_without_a_usable_image_is_an_error(tmp_path: Path) -> None:
    shard = write_tar(tmp_path / "a.tar", {"1.jpg": b"<html>"})
    with pytest.raises(InputError, match=r"none of the images can be imported.*a\.tar: 1\.jpg: not_an_image"):
        run(shard, tmp_path / "out")
    assert not (tmp_path / "out").exists()
