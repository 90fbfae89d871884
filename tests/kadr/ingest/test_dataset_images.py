"""Tests for dataset images: image IDs, names in tables that refer to images, and names without an image."""

import logging
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from kadr.errors import InputError
from kadr.ingest.dataset_images import DatasetImages, read_images
from kadr.ingest.nearest_names import find_nearest
from kadr.ingest.raw_input import RawInput, RawLongRatings, RawQueries
from kadr.params import DecodingParams


def draw(path: Path, shade: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (4, 4), shade).save(path)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for name in ("a.jpg", "b.jpg", "summer/c.jpg"):
        draw(tmp_path / "train_images" / name)
    for name in ("x.jpg", "y.jpg"):
        draw(tmp_path / "test_images" / name)
    return tmp_path


def table(names: list[str]) -> pd.DataFrame:
    return pd.DataFrame({"image_id": pd.Series(names, dtype="str"), "query_id": "t1"})


def read(source: Path, rated: list[str], searched: list[str] = [], listed: list[str] = []) -> DatasetImages:  # noqa: B006
    raw = RawInput(
        folders={"train": "train_images", "test": "test_images"},
        ratings=(RawLongRatings("ratings_long.csv", table(rated), {}),),
        queries=(
            RawQueries("texts.csv", table(["a.jpg", "p.jpg"]), {}, "train"),
            RawQueries("test_queries.csv", table(searched), {}, "test"),
        ),
        listed_images={"test": listed},
    )
    return read_images(str(source), raw, DecodingParams())


def rated_ids(images: DatasetImages) -> list[str]:
    return images.raw.ratings[0].rows["image_id"].tolist()


def status(images: DatasetImages) -> dict[str, tuple[str, str]]:
    return {image.image_id: (image.split, image.status) for image in images.images}


def test_names_in_all_tables_are_replaced_by_image_ids(source: Path, caplog: pytest.LogCaptureFixture) -> None:
    names = ["train_images/a.jpg", "http://e.org/b.jpg?s=1", "SUMMER/c", "", "a.jpg"]
    images = read(source, names, searched=["test_images/x.jpg", "y"], listed=["Y.jpg"])
    assert rated_ids(images) == ["a.jpg", "b.jpg", "summer/c.jpg", "", "a.jpg"]
    assert images.raw.queries[0].rows["image_id"].tolist() == ["a.jpg", "p.jpg"]
    assert images.raw.queries[1].rows["image_id"].tolist() == ["x.jpg", "y.jpg"]
    assert images.n_names == {"exact": 1, "folder": 2, "url": 1, "case": 1, "extension": 2}
    assert set(status(images)) == {"a.jpg", "b.jpg", "summer/c.jpg", "x.jpg", "y.jpg"}
    assert images.hints == {}
    assert (
        "train_images: matched 1 image names although the table contains a URL, such as 'http://e.org/b.jpg?s=1' with "
        "the file 'b.jpg'." in caplog.messages
    )


def test_names_without_an_image_have_a_status_and_a_hint(source: Path) -> None:
    draw(source / "train_images" / "b.png")
    (source / "train_images" / "film.mp4").write_bytes(b"film")
    images = read(source, ["aa.jpg", "b", "film.mp4", "x.jpg", "test_images/a.jpg"], searched=["a.jpg"])
    assert rated_ids(images) == ["aa.jpg", "b", "film.mp4", "x.jpg", "test_images/a.jpg"]
    assert {name: status(images)[name] for name in ("aa.jpg", "b", "film.mp4", "test_images/a.jpg")} == {
        "aa.jpg": ("train", "missing"),
        "b": ("train", "name_ambiguous"),
        "film.mp4": ("train", "not_an_image"),
        "test_images/a.jpg": ("train", "missing"),
    }
    assert images.n_names == {"exact": 2, "missing": 2, "name_ambiguous": 1, "not_an_image": 1}
    assert images.passed_over == {"train_images": {".mp4": 1}, "test_images": {}}
    assert images.hints["name_ambiguous"] == (
        "1 image names in the tables are ambiguous: 'b' could be the file 'b.jpg' or 'b.png'. Write the path of the "
        "image in train_images into the table."
    )
    assert images.hints["missing"] == (
        "3 image names in the tables have no file in train_images: 'aa.jpg' (the nearest file is 'a.jpg'); 'film.mp4' "
        "is a file, but not an image; 'test_images/a.jpg' (the nearest file is 'a.jpg'). Correct the names in the "
        "tables, or add the images."
    )
    assert images.hints["image_missing"] == images.hints["missing"]


def test_the_hint_shows_a_file_name_if_no_file_is_similar(source: Path) -> None:
    assert read(source, ["zzz.png"]).hints["image_missing"] == (
        "1 image names in the tables have no file in train_images: 'zzz.png' (no file has a similar name). The files "
        "have names such as 'a.jpg'. Correct the names in the tables, or add the images."
    )


def test_a_name_refers_to_its_own_split_first(source: Path) -> None:
    draw(source / "train_images" / "x.png", 9)
    images = read(source, ["x", "x.jpg"], searched=["x", "x.png"])
    assert rated_ids(images) == ["x.png", "x.jpg"]  # an equal name in the other split precedes a similar name
    assert images.raw.queries[1].rows["image_id"].tolist() == ["x.jpg", "x.png"]


def test_different_images_with_the_same_name_have_different_ids(source: Path, caplog: pytest.LogCaptureFixture) -> None:
    draw(source / "test_images" / "a.jpg", 200)
    images = read(source, ["a.jpg", "train_images/a.jpg"], searched=["a.jpg", "test_images/a.jpg"], listed=["a.jpg"])
    assert rated_ids(images) == ["a.jpg", "a.jpg"]
    assert images.raw.queries[1].rows["image_id"].tolist() == ["test_images/a.jpg", "test_images/a.jpg"]
    assert {name: split for name, (split, _) in status(images).items()} == {
        "a.jpg": "train",
        "b.jpg": "train",
        "summer/c.jpg": "train",
        "test_images/a.jpg": "test",
        "x.jpg": "test",
        "y.jpg": "test",
    }
    assert "contain 1 different images with the same name, such as a.jpg." in caplog.text


def test_the_same_image_in_both_folders_is_an_error(source: Path) -> None:
    draw(source / "test_images" / "a.jpg")
    draw(source / "test_images" / "b.jpg", 200)
    with pytest.raises(InputError, match=r"1 identical images with the same name, such as a\.jpg\. .* Remove these"):
        read(source, ["a.jpg"])


def test_equal_names_are_logged_without_a_match(source: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    assert read(source, ["a.jpg", "b.jpg"]).n_names == {"exact": 2}
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("name", "files", "nearest"),
    [
        ("7", ["COCO_val2014_000000000007.jpg", "17.jpg"], "COCO_val2014_000000000007.jpg"),
        ("42", ["COCO_val2014_000000000042.jpg", "142.jpg", "420.jpg"], "COCO_val2014_000000000042.jpg"),
        ("beach", ["my beach 2.jpg", "bench.jpg"], "my beach 2.jpg"),
        ("http://e.org/beech.jpg", ["beach.jpg", "sea.jpg"], "beach.jpg"),
        ("zzz.jpg", ["beach.jpg"], None),
        ("a", [], None),
    ],
)
def test_the_nearest_file(name: str, files: list[str], nearest: str | None) -> None:
    assert find_nearest(name, files) == nearest
