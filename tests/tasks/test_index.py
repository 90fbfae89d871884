"""Stage index on a small project: the photos of the chosen splits, published whole, the same every time."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from kadr.errors import SearchError
from kadr.index import Index, build_index
from kadr.io.embeddings import Embeddings, Vectors
from kadr.io.schemas import IMAGES, read_table, write_table
from kadr.operations.tracking.recording import folder_digest
from kadr.params import Params
from kadr.project import PROJECT
from tasks.index import stage


@pytest.fixture
def with_corpus(small_project: Path) -> Path:
    """The small project with one captioned photo, and a test photo set aside."""
    photos = read_table(PROJECT.images, IMAGES).to_pylist()
    photos[-1]["status"] = "truncated"
    write_table(pa.Table.from_pylist(photos, IMAGES), PROJECT.images, IMAGES)
    extra = {"image_id": "corpus.jpg", "path": "corpus.jpg", "split": "corpus", "status": "ok"}
    write_table(pa.Table.from_pylist([extra], IMAGES), PROJECT.corpus, IMAGES)
    file = PROJECT.image_embeddings / "clip.parquet"
    known = Embeddings.read(file)
    vectors = np.concatenate([known.vectors, known.vectors[:1]])
    Embeddings([*known.ids, "corpus.jpg"], vectors, known.metadata).write(file)
    return small_project


def of_splits(params: Params, *splits: str) -> Params:
    return params.model_copy(update={"index": params.index.model_copy(update={"splits": list(splits)})})


def test_the_chosen_splits(with_corpus: Path, small_params: Params) -> None:
    metrics = stage(of_splits(small_params, "train", "test"))
    index = Index.load(PROJECT.index)
    size = sum(path.stat().st_size for path in PROJECT.index.rglob("*") if path.is_file())
    assert metrics == {
        "encoder": "clip",
        "n_images": 29,
        "dim": 8,
        "kind": "SQfp16",
        "nprobe": 0,
        "recall_at_10": metrics["recall_at_10"],
        "bytes": size,
    }
    assert metrics["recall_at_10"] > 0.98
    assert index.photos["image_id"].to_pylist() == [f"{i:02d}.jpg" for i in range(29)]
    assert stage(of_splits(small_params, "corpus"))["n_images"] == 1
    assert Index.load(PROJECT.index).photos["image_id"].to_pylist() == ["corpus.jpg"]


def test_the_recall_is_measured_by_texts(
    with_corpus: Path, small_params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def build(*args: object, texts: Vectors, **_: object) -> Index:
        asked.append(texts)
        return build_index(*args, texts=texts)

    monkeypatch.setattr("tasks.index.build_index", build)
    stage(small_params)
    assert np.array_equal(asked[0], Embeddings.read(PROJECT.text_embeddings / "clip.parquet").vectors)


def test_twice_the_same_bytes(with_corpus: Path, small_params: Params) -> None:
    digests = []
    for _ in range(2):
        stage(small_params)
        digests.append(folder_digest(PROJECT.index))
    assert digests[0] == digests[1]


def test_a_photo_finds_itself(with_corpus: Path, small_params: Params) -> None:
    stage(small_params)
    index = Index.load(PROJECT.index)
    for row in (0, 7, 28):
        found, cosines = index.nearest(index.vectors["clip"].take(slice(row, row + 1)), 1)
        assert found.tolist() == [row]
        assert cosines[0] == pytest.approx(1.0, abs=2e-3)


def test_nothing_to_index_leaves_the_old_index(with_corpus: Path, small_params: Params) -> None:
    stage(small_params)
    before = folder_digest(PROJECT.index)
    write_table(IMAGES.empty_table(), PROJECT.corpus, IMAGES)
    with pytest.raises(SearchError, match="none of 0 photos"):
        stage(of_splits(small_params, "corpus"))
    assert folder_digest(PROJECT.index) == before
