"""Tests of building, searching, writing and loading an index."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from kadr.errors import SchemaError, SearchError
from kadr.features import Images
from kadr.index import Index, build_index, publish_folder
from kadr.index import index as index_module
from kadr.io import embeddings as embeddings_module
from kadr.io.embeddings import Embeddings
from kadr.io.schemas import IMAGES, INDEXED_IMAGES

EXACT_MAX = 100
CORNERS = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]], dtype=np.float32)

OTHERS = {
    "clip": Embeddings(["a", "b", "c", "d"], CORNERS, {"encoder": "clip", "weights_sha256": "0"}),
    "other": Embeddings(["d", "c", "b", "a"], np.eye(4, 3, dtype=np.float32), {"encoder": "other"}),
}


def images_table(*rows: tuple[str, str]) -> pa.Table:
    """Create an IMAGES table from pairs (image_id, status)."""
    others = {"split": "train", "sha256": None, "bytes": 1, "width": 4, "height": 3, "phash": None}
    return pa.Table.from_pylist(
        [{"image_id": name, "path": f"photos/{name}", "status": status, **others} for name, status in rows], IMAGES
    )


@pytest.fixture
def index() -> Index:
    table = images_table(("d", "ok"), ("a", "ok"), ("b", "truncated"), ("c", "ok"))
    return build_index(table, OTHERS, "clip", EXACT_MAX)


def test_valid_images_are_indexed_in_the_order_of_their_ids(index: Index) -> None:
    assert index.table.schema == INDEXED_IMAGES
    assert index.table["image_id"].to_pylist() == ["a", "c", "d"]
    assert index.table["row"].to_pylist() == [0, 1, 2]
    assert np.array_equal(index.vectors["clip"].values, CORNERS[[0, 2, 3]])
    assert np.array_equal(index.vectors["other"].take(np.array([2])), [[1, 0, 0]])


def test_nearest_images_come_first(index: Index) -> None:
    rows, cosines = index.nearest(np.array([[0.6, -0.8]], dtype=np.float32), 10)
    assert rows.tolist() == [2, 0, 1]
    assert cosines == pytest.approx([0.8, 0.6, -0.6], abs=1e-3)


def test_equal_cosines_are_sorted_by_id_at_every_k() -> None:
    names = [f"{number:02d}" for number in range(40)]
    same = Embeddings(names, np.tile(CORNERS[:1], (40, 1)), {"encoder": "clip"})
    index = build_index(images_table(*((name, "ok") for name in names)), {"clip": same}, "clip", EXACT_MAX)
    for k in (1, 3, 39):
        assert index.nearest(CORNERS[:1], k)[0].tolist() == list(range(k))


def test_files_do_not_depend_on_the_order_of_the_table(tmp_path: Path, index: Index) -> None:
    again = build_index(images_table(("c", "ok"), ("d", "ok"), ("a", "ok")), OTHERS, "clip", EXACT_MAX)
    for name, built in (("one", index), ("two", again)):
        (tmp_path / name).mkdir()
        built.write(tmp_path / name)
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file())
    assert [str(path) for path in files] == [
        "clip.faiss",
        "index.json",
        "metadata.arrow",
        "texts.sqlite",
        "vectors/clip.npy",
        "vectors/other.npy",
    ]
    for path in files:
        assert (tmp_path / "one" / path).read_bytes() == (tmp_path / "two" / path).read_bytes(), path


def test_an_index_that_is_built_in_a_folder_has_the_same_files(
    tmp_path: Path, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embeddings_module, "CHUNK_SIZE", 2)
    monkeypatch.setattr(index_module, "_CHUNK_SIZE", 2)
    for name, folder in (("memory", None), ("mapped", tmp_path / "mapped")):
        (tmp_path / name).mkdir()
        table = images_table(("d", "ok"), ("a", "ok"), ("b", "truncated"), ("c", "ok"))
        built = build_index(table, OTHERS, "clip", EXACT_MAX, folder=folder).prepare(prepare, "model 1", folder)
        assert all(isinstance(vectors.values, np.memmap) == (folder is not None) for vectors in built.vectors.values())
        built.write(tmp_path / name)
    files = [path.relative_to(tmp_path / "mapped") for path in (tmp_path / "mapped").rglob("*") if path.is_file()]
    assert Path("prepared/long/first.npy") in files
    for file in set(files) - {Path("index.json"), Path("texts.sqlite")}:  # SQLite writes another header
        assert (tmp_path / "mapped" / file).read_bytes() == (tmp_path / "memory" / file).read_bytes(), file
    assert built.prepare(pytest.fail, "model 1") is built
    (tmp_path / "again").mkdir()
    built.write(tmp_path / "again")
    assert Index.load(tmp_path / "again", verify_all=True).describe() == built.describe()


def test_a_loaded_index_equals_the_written_one(tmp_path: Path, index: Index) -> None:
    index.write(tmp_path)
    read = Index.load(tmp_path)
    assert read.table.equals(index.table)
    assert read.describe() == index.describe()
    query = np.array([[0.8, 0.6]], dtype=np.float32)
    assert np.array_equal(read.nearest(query, 3)[0], index.nearest(query, 3)[0])


def test_an_index_replaces_another_index_in_its_folder(tmp_path: Path, index: Index) -> None:
    build_index(images_table(("b", "ok")), OTHERS, "clip", EXACT_MAX).write(tmp_path)
    index.write(tmp_path)
    loaded = Index.load(tmp_path, verify_all=True)
    assert loaded.table.equals(index.table)
    assert loaded.text_index is not None
    assert loaded.text_index.search("c").rows.tolist() == [index.find_row("c")]
    loaded.write(tmp_path)
    assert Index.load(tmp_path, verify_all=True).table.equals(index.table)


def test_an_image_is_found_by_its_id_and_its_content() -> None:
    table = images_table(("b", "ok"), ("a", "ok"), ("d", "ok"))
    table = table.set_column(3, "sha256", pa.array(["00ff", "0a", "00ff"]))
    index = build_index(table, OTHERS, "clip", EXACT_MAX)
    assert [index.find_row(name) for name in ("a", "b", "c", "d", "")] == [0, 1, None, 2, None]
    assert [index.find_row_by_content(sha256) for sha256 in ("00ff", "0a", "ff")] == [1, 0, None]


def test_an_index_without_images_is_an_error() -> None:
    embeddings = Embeddings(["a"], CORNERS[:1], {"encoder": "clip"})
    with pytest.raises(SearchError, match=r"None of 1 images can be indexed.*index\.splits"):
        build_index(images_table(("a", "truncated")), {"clip": embeddings}, "clip", EXACT_MAX)


def test_an_image_without_a_vector_is_an_error() -> None:
    embeddings = Embeddings(["a"], CORNERS[:1], {"encoder": "clip"})
    with pytest.raises(SchemaError, match="has no vector for ID 'b'"):
        build_index(images_table(("a", "ok"), ("b", "ok")), {"clip": embeddings}, "clip", EXACT_MAX)


def test_a_missing_or_damaged_index_is_an_error(tmp_path: Path, index: Index) -> None:
    with pytest.raises(SearchError, match=r"the index does not exist\. Build an index with `dvc repro index`"):
        Index.load(tmp_path / "none")
    index.write(tmp_path)
    for name in ("clip.faiss", "vectors/clip.npy", "index.json"):
        content = (tmp_path / name).read_bytes()
        for damaged in (content[: len(content) // 2], b""):
            (tmp_path / name).write_bytes(damaged)
            with pytest.raises(SearchError, match="the index cannot be read"):
                Index.load(tmp_path)
        (tmp_path / name).write_bytes(content)
    (tmp_path / "clip.faiss").unlink()
    with pytest.raises(SearchError, match="the index cannot be read"):
        Index.load(tmp_path)


@pytest.mark.parametrize(
    ("name", "always_verified"), [("clip.faiss", True), ("metadata.arrow", True), ("vectors/other.npy", False)]
)
def test_a_flipped_bit_is_an_error(name: str, always_verified: bool, tmp_path: Path, index: Index) -> None:
    index.write(tmp_path)
    assert Index.load(tmp_path, verify_all=True).describe() == index.describe()
    content = bytearray((tmp_path / name).read_bytes())
    content[content.find(index.table["path"][0].as_py().encode()) if name.endswith("arrow") else -2] ^= 1
    (tmp_path / name).write_bytes(content)
    for verify_all in (False, True) if always_verified else (True,):
        with pytest.raises(SearchError, match=name):
            Index.load(tmp_path, verify_all=verify_all)
    if not always_verified:
        Index.load(tmp_path)


def test_an_index_of_an_older_version_is_an_error(tmp_path: Path, index: Index) -> None:
    index.write(tmp_path)
    description = json.loads((tmp_path / "index.json").read_text())
    del description["prepared_for"]
    (tmp_path / "index.json").write_text(json.dumps(description))
    with pytest.raises(SearchError, match=r"the index cannot be read .*prepared_for"):
        Index.load(tmp_path)


def test_a_published_folder_replaces_the_previous_one(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "index"
    for content in ("old", "new"):
        with publish_folder(folder) as partial:
            (partial / content).write_text(content)
    assert [path.name for path in folder.iterdir()] == ["new"]
    assert [path.name for path in folder.parent.iterdir()] == ["index"]


def test_a_failed_writer_keeps_the_previous_folder(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    with publish_folder(folder) as partial:
        (partial / "old").touch()

    def write() -> None:
        with publish_folder(folder) as partial:
            (partial / "new").touch()
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        write()
    assert [path.name for path in folder.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [folder]


def test_partial_folders_of_killed_writers_are_deleted(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    (tmp_path / ".index.partial").mkdir()
    (tmp_path / ".index.partial" / "half").touch()
    with publish_folder(folder) as partial:
        (partial / "new").touch()
    assert [path.name for path in folder.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [folder]


def prepare(images: Images) -> dict[str, np.ndarray]:
    first = images.vectors["clip"][:, 0]
    return {"first": first, "long/first": np.repeat(first[:, None], 20, axis=1)}


def test_prepared_arrays_are_stored_for_one_model(tmp_path: Path, index: Index) -> None:
    assert index.images(np.array([1])).prepared == {}
    prepared = index.prepare(prepare, "model 1")
    prepared.write(tmp_path)
    read = Index.load(tmp_path)
    assert read.prepare(pytest.fail, "model 1") is read
    images = read.images(np.array([2, 0]))
    assert list(images.ids) == ["d", "a"]
    assert images.prepared["first"].tolist() == images.vectors["clip"][:, 0].tolist() == [0, 1]
    assert (images.prepared["first"].dtype, images.prepared["long/first"].dtype) == (np.float32, np.float16)
    assert read.prepare(prepare, "model 2").prepared_for == "model 2"
    assert read.prepare_on_demand(pytest.fail, "model 1") is read
    on_demand = index.prepare_on_demand(prepare, "model 1").images(np.array([1]))
    for name, values in prepared.images(np.array([1])).prepared.items():
        assert np.array_equal(on_demand.prepared[name], values)
        assert on_demand.prepared[name].dtype == values.dtype
