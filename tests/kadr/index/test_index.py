"""The index: which photos it takes, what it finds, its bytes, and the folder that is there whole or not at all."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from kadr.errors import SchemaError, SearchError
from kadr.features import Images
from kadr.index import Index, build_index, nearest, published
from kadr.io.embeddings import Embeddings, Vectors
from kadr.io.schemas import IMAGES, INDEXED

EXACT_MAX = 100
CORNERS = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]], dtype=np.float32)

OTHERS = {
    "clip": Embeddings(["a", "b", "c", "d"], CORNERS, {"encoder": "clip", "weights_sha256": "0"}),
    "other": Embeddings(["d", "c", "b", "a"], np.eye(4, 3, dtype=np.float32), {"encoder": "other"}),
}


def photos(*rows: tuple[str, str]) -> pa.Table:
    """Photos as (image_id, status)."""
    others = {"split": "train", "sha256": None, "bytes": 1, "width": 4, "height": 3, "phash": None}
    return pa.Table.from_pylist(
        [{"image_id": name, "path": f"photos/{name}", "status": status, **others} for name, status in rows], IMAGES
    )


@pytest.fixture
def index() -> Index:
    table = photos(("d", "ok"), ("a", "ok"), ("b", "truncated"), ("c", "ok"))
    return build_index(table, OTHERS, "clip", EXACT_MAX)


def test_only_good_photos_in_the_order_of_their_ids(index: Index) -> None:
    assert index.photos.schema == INDEXED
    assert index.photos["image_id"].to_pylist() == ["a", "c", "d"]
    assert index.photos["row"].to_pylist() == [0, 1, 2]
    assert np.array_equal(index.vectors["clip"].values, CORNERS[[0, 2, 3]])
    assert np.array_equal(index.vectors["other"].take(np.array([2])), [[1, 0, 0]])


def test_the_nearest_come_first_and_no_more_than_there_are(index: Index) -> None:
    rows, cosines = index.nearest(np.array([[0.6, -0.8]], dtype=np.float32), 10)
    assert rows.tolist() == [2, 0, 1]
    assert cosines == pytest.approx([0.8, 0.6, -0.6], abs=1e-3)


def test_equal_vectors_stand_in_the_order_of_ids_even_at_the_cut() -> None:
    names = [f"{number:02d}" for number in range(40)]
    same = Embeddings(names, np.tile(CORNERS[:1], (40, 1)), {"encoder": "clip"})
    index = build_index(photos(*((name, "ok") for name in names)), {"clip": same}, "clip", EXACT_MAX)
    for k in (1, 3, 39):
        assert index.nearest(CORNERS[:1], k)[0].tolist() == list(range(k))


def test_the_order_of_the_table_changes_nothing(tmp_path: Path, index: Index) -> None:
    again = build_index(photos(("c", "ok"), ("d", "ok"), ("a", "ok")), OTHERS, "clip", EXACT_MAX)
    for name, built in (("one", index), ("two", again)):
        (tmp_path / name).mkdir()
        built.write(tmp_path / name)
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file())
    assert [str(path) for path in files] == [
        "clip.faiss",
        "index.json",
        "metadata.parquet",
        "vectors/clip.npy",
        "vectors/other.npy",
    ]
    for path in files:
        assert (tmp_path / "one" / path).read_bytes() == (tmp_path / "two" / path).read_bytes(), path


def test_what_is_read_is_what_was_written(tmp_path: Path, index: Index) -> None:
    index.write(tmp_path)
    read = Index.load(tmp_path)
    assert read.photos.equals(index.photos)
    assert read.describe() == index.describe()
    query = np.array([[0.8, 0.6]], dtype=np.float32)
    assert np.array_equal(read.nearest(query, 3)[0], index.nearest(query, 3)[0])


def test_a_photo_is_found_by_its_id_and_by_its_content() -> None:
    table = photos(("b", "ok"), ("a", "ok"), ("d", "ok"))
    table = table.set_column(3, "sha256", pa.array(["00ff", "0a", "00ff"]))
    index = build_index(table, OTHERS, "clip", EXACT_MAX)
    assert [index.row_of(name) for name in ("a", "b", "c", "d", "")] == [0, 1, None, 2, None]
    assert [index.row_of_content(sha256) for sha256 in ("00ff", "0a", "ff")] == [1, 0, None]


def clusters(n: int, dim: int = 16, n_clusters: int = 40) -> Embeddings:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(n_clusters, dim))
    vectors = centres[rng.integers(n_clusters, size=n)] + 0.4 * rng.normal(size=(n, dim))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Embeddings([f"{number:05d}" for number in range(n)], vectors.astype(np.float32), {"encoder": "clip"})


def test_past_exact_max_lists_are_searched_and_their_recall_is_measured() -> None:
    embeddings = clusters(3000)
    table = photos(*((name, "ok") for name in embeddings.ids))
    exact = build_index(table, {"clip": embeddings}, "clip", 3000)
    lists = build_index(table, {"clip": embeddings}, "clip", 2999)
    assert (exact.describe()["kind"], exact.describe()["nprobe"]) == ("SQfp16", 0)
    assert exact.neighbours.recall > 0.99
    assert lists.describe()["kind"] == "IVF219,SQfp16"
    assert lists.neighbours.recall >= 0.98
    asked = embeddings.vectors[5:500:7]
    found = [[index.nearest(vector[None], 10)[0] for vector in asked] for index in (exact, lists)]
    recall = np.mean([len(np.intersect1d(*pair)) / 10 for pair in zip(*found, strict=True)])
    assert recall > 0.95  # by other vectors than those it was chosen by


@pytest.mark.parametrize("exact_max", [1, 100_000])
@pytest.mark.parametrize("few", [0, 100_000])
def test_only_allowed_rows_are_found(exact_max: int, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest, "FEW", few)
    embeddings = clusters(1000)
    index = build_index(photos(*((name, "ok") for name in embeddings.ids)), {"clip": embeddings}, "clip", exact_max)
    allowed = np.arange(0, 1000, 7)
    rows, cosines = index.nearest(embeddings.vectors[:1], 5, allowed)
    expected = allowed[np.argsort(-(embeddings.vectors[allowed] @ embeddings.vectors[0]))[:5]]
    assert rows.tolist() == expected.tolist()
    assert cosines[0] == pytest.approx(1, abs=1e-3)
    assert len(index.nearest(embeddings.vectors[:1], 5, allowed[:0])[0]) == 0
    assert index.nearest(embeddings.vectors[:1], 5, allowed[:2])[0].tolist() == [0, 7]


@pytest.mark.parametrize(("every", "k"), [(1, 2000), (2, 30), (100, 30), (100, 8), (700, 10)])
def test_past_exact_max_as_many_are_found_as_there_are(every: int, k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest, "FEW", 0)
    embeddings = clusters(3000)
    index = build_index(photos(*((name, "ok") for name in embeddings.ids)), {"clip": embeddings}, "clip", 1)
    assert 0 < index.neighbours.nprobe < 200
    rows = np.arange(0, 3000, every)
    found, cosines = index.nearest(embeddings.vectors[:1], k, None if every == 1 else rows)
    assert len(found) == min(k, len(rows))
    assert np.isin(found, rows).all()
    assert len(np.unique(found)) == len(found)
    assert (np.diff(cosines) <= 0).all()


@pytest.mark.parametrize("needed", [1, 2, 37, 100])
def test_hardly_more_lists_are_searched_than_it_takes(needed: int) -> None:
    class Lists:
        nlist = 100

        def search(self, asked: Vectors, k: int, params: Any) -> tuple[None, np.ndarray]:
            missed = min(1, max(0, needed - params.nprobe) / 20)  # of the queries, each found by one list more
            return None, np.where(np.arange(len(asked))[:, None] < missed * len(asked), -1, wanted)

    wanted = np.tile(np.arange(10), (512, 1))
    nprobe, recall = nearest._enough_lists(Lists(), np.empty((512, 2), np.float32), wanted)
    assert needed <= nprobe <= needed + max(1, needed // 8)
    assert recall >= 0.98


def test_the_share_of_wanted_rows_that_are_found() -> None:
    assert nearest.recall_at(np.array([[1, 2], [3, 4]]), np.array([[2, 5, 1], [9, 8, 3]])) == 0.75


def test_no_photo_no_index() -> None:
    embeddings = Embeddings(["a"], CORNERS[:1], {"encoder": "clip"})
    with pytest.raises(SearchError, match=r"none of 1 photos can be indexed.*index\.splits"):
        build_index(photos(("a", "truncated")), {"clip": embeddings}, "clip", EXACT_MAX)


def test_a_photo_without_a_vector_is_named() -> None:
    embeddings = Embeddings(["a"], CORNERS[:1], {"encoder": "clip"})
    with pytest.raises(SchemaError, match="has no vector for id 'b'"):
        build_index(photos(("a", "ok"), ("b", "ok")), {"clip": embeddings}, "clip", EXACT_MAX)


def test_a_missing_and_a_damaged_index_say_what_to_do(tmp_path: Path, index: Index) -> None:
    with pytest.raises(SearchError, match="there is no index; make one with `dvc repro index`"):
        Index.load(tmp_path / "none")
    index.write(tmp_path)
    for name in ("clip.faiss", "vectors/clip.npy", "index.json"):
        whole = (tmp_path / name).read_bytes()
        for damaged in (whole[: len(whole) // 2], b""):
            (tmp_path / name).write_bytes(damaged)
            with pytest.raises(SearchError, match="the index cannot be read"):
                Index.load(tmp_path)
        (tmp_path / name).write_bytes(whole)
    (tmp_path / "clip.faiss").unlink()
    with pytest.raises(SearchError, match="the index cannot be read"):
        Index.load(tmp_path)


@pytest.mark.parametrize(
    ("name", "seen_at_once"), [("clip.faiss", True), ("metadata.parquet", True), ("vectors/other.npy", False)]
)
def test_one_bit_that_flipped_is_seen(name: str, seen_at_once: bool, tmp_path: Path, index: Index) -> None:
    index.write(tmp_path)
    assert Index.load(tmp_path, whole=True).describe() == index.describe()
    content = bytearray((tmp_path / name).read_bytes())
    content[content.find(index.photos["path"][0].as_py().encode()) if name.endswith("parquet") else -2] ^= 1
    (tmp_path / name).write_bytes(content)
    for whole in (False, True) if seen_at_once else (True,):
        with pytest.raises((SearchError, SchemaError), match=name):
            Index.load(tmp_path, whole=whole)
    if not seen_at_once:
        Index.load(tmp_path)


def test_an_index_of_an_older_kadr_cannot_be_read(tmp_path: Path, index: Index) -> None:
    index.write(tmp_path)
    described = json.loads((tmp_path / "index.json").read_text())
    del described["prepared_for"]
    (tmp_path / "index.json").write_text(json.dumps(described))
    with pytest.raises(SearchError, match=r"the index cannot be read .*prepared_for"):
        Index.load(tmp_path)


def test_a_published_folder_replaces_the_old_one(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "index"
    for content in ("old", "new"):
        with published(folder) as partial:
            (partial / content).write_text(content)
    assert [path.name for path in folder.iterdir()] == ["new"]
    assert [path.name for path in folder.parent.iterdir()] == ["index"]


def test_a_failed_writer_leaves_the_old_folder_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    with published(folder) as partial:
        (partial / "old").touch()

    def write() -> None:
        with published(folder) as partial:
            (partial / "new").touch()
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        write()
    assert [path.name for path in folder.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [folder]


def test_what_a_killed_writer_left_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    (tmp_path / ".index.partial").mkdir()
    (tmp_path / ".index.partial" / "half").touch()
    with published(folder) as partial:
        (partial / "new").touch()
    assert [path.name for path in folder.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [folder]


def prepare(images: Images) -> dict[str, np.ndarray]:
    first = images.vectors["clip"][:, 0]
    return {"first": first, "long/first": np.repeat(first[:, None], 20, axis=1)}


def test_what_a_model_needs_of_the_photos_is_kept_for_that_model(tmp_path: Path, index: Index) -> None:
    assert index.images(np.array([1])).prepared == {}
    prepared = index.prepare(prepare, "key of the model")
    prepared.write(tmp_path)
    read = Index.load(tmp_path)
    assert read.prepare(pytest.fail, "key of the model") is read
    images = read.images(np.array([2, 0]))
    assert list(images.ids) == ["d", "a"]
    assert images.prepared["first"].tolist() == images.vectors["clip"][:, 0].tolist() == [0, 1]
    assert (images.prepared["first"].dtype, images.prepared["long/first"].dtype) == (np.float32, np.float16)
    assert read.prepare(prepare, "key of another").prepared_for == "key of another"
    assert read.prepare_when_taken(pytest.fail, "key of the model") is read
    taken = index.prepare_when_taken(prepare, "key of the model").images(np.array([1]))
    for name, values in prepared.images(np.array([1])).prepared.items():
        assert np.array_equal(taken.prepared[name], values)
        assert taken.prepared[name].dtype == values.dtype
