"""Ingest of images that exist only as vectors."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from kadr.errors import InputError
from kadr.ingest.image_checks import ImageFile
from kadr.ingest.image_names import NameMatches
from kadr.ingest.pipeline import read_and_check
from kadr.ingest.vector_images import VectorImages
from kadr.io.vector_files import list_vector_images
from kadr.params import load_params

NAMES = ["photos/a.jpg", "photos/b.jpg", "photos/sub/c.jpg", "photos/d.jpg", "photos/e.jpg"]


def write_vectors(path: Path, **columns: list[str]) -> str:
    n = len(next(iter(columns.values())))
    pq.write_table(pa.table({**columns, "vector": pa.array(np.eye(n, 8).tolist(), pa.list_(pa.float32()))}), path)
    return str(path)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Return a dataset in the long format without image folders."""
    folder = tmp_path / "mine"
    folder.mkdir()
    ratings = ["image,query_text,rater,source,rating"]
    for image in ("a.jpg", "B.JPG", "missing.jpg"):
        ratings += [f"{image},text {rating},r{rating},expert,{rating}" for rating in (1, 2, 3, 4)]
    (folder / "ratings_long.csv").write_text("\n".join(ratings) + "\n", encoding="utf-8")
    (folder / "captions.csv").write_text("image,caption\nphotos/d.jpg,a dog\na.jpg,rated\n", encoding="utf-8")
    return folder


def checked_images(source: Path, vectors: str | None) -> dict[str, tuple[str, str, bool]]:
    """Ingest a dataset, and return the split and status of each image, and whether it has a file."""
    params = load_params(Path(__file__).parents[3] / "params.yaml")
    corpus = {"captions": "captions.csv", "images": "corpus_images"}
    ingest = params.ingest.model_dump() | {
        "source": str(source),
        "format": "long",
        "vectors": vectors,
        "corpus": corpus,
        "max_bad_rows": 0.5,
        "max_bad_images": 0.5,
    }
    checked = read_and_check(type(params.ingest).model_validate(ingest), params.decoding)
    images = [*checked.images.images, *checked.corpus.images]
    return {image.image_id: (image.split, image.status, image.sha256 is not None) for image in images}


def test_images_get_their_ids_from_the_vectors(source: Path, tmp_path: Path) -> None:
    vectors = write_vectors(tmp_path / "v.parquet", image_path=NAMES)
    expected = {
        "a.jpg": ("train", "ok", False),
        "b.jpg": ("train", "ok", False),
        "missing.jpg": ("train", "missing", False),
        "d.jpg": ("corpus", "ok", False),
        "e.jpg": ("test", "ok", False),
        "sub/c.jpg": ("test", "ok", False),
    }
    assert checked_images(source, vectors) == expected
    (source / "train_images").mkdir()
    Image.new("RGB", (80, 60), "red").save(source / "train_images" / "a.jpg")
    assert checked_images(source, vectors) == expected | {"a.jpg": ("train", "ok", True)}


def test_without_vectors_the_folders_are_required(source: Path) -> None:
    with pytest.raises(InputError, match="train_images does not exist"):
        checked_images(source, None)


def test_a_name_that_fits_two_vectors_is_ambiguous() -> None:
    images = VectorImages({"1/a.jpg": "1/a.jpg", "2/a.jpg": "2/a.jpg"})
    matches = images.resolve({"a.jpg"}, "train", NameMatches())
    assert (matches.files, list(matches.ambiguous), images.used) == ({}, ["a.jpg"], {})


def test_a_vector_of_an_image_with_a_file_is_no_other_image() -> None:
    images = VectorImages({"000012": "000012", "000013": "000013"})
    others = images.add_others([ImageFile("000012.jpg", "train_images/000012.jpg", "train", status="ok")], "test")
    assert others == [ImageFile("000013", "000013", "test", status="ok")]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"image_path": ["/x/1.jpg", "/x/y/2.jpg"]}, {"1.jpg": "/x/1.jpg", "y/2.jpg": "/x/y/2.jpg"}),
        ({"image_id": ["a", "b"], "url": ["https://e.org/1", ""]}, {"a": "https://e.org/1", "b": "b"}),
        ({"id": ["a", ""]}, {"a": "a"}),
    ],
)
def test_ids_and_paths_of_vectors(columns: dict[str, list[str]], expected: dict[str, str], tmp_path: Path) -> None:
    images = list_vector_images(Path(write_vectors(tmp_path / "v.parquet", **columns))).to_pylist()
    assert {image["image_id"]: image["path"] for image in images} == expected
