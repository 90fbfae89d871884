"""Tests of stage index on a small project."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from kadr.errors import SearchError
from kadr.index import Index, build_index
from kadr.io.embeddings import Embeddings, Vectors
from kadr.io.schemas import CAPTIONS, IMAGES, read_table, write_table
from kadr.operations.tracking.lineage import folder_digest
from kadr.params import Params
from kadr.project import PROJECT
from tasks.index import index as run_index


@pytest.fixture
def with_corpus(small_project: Path) -> Path:
    """Add a captioned image to the small project, and make one test image invalid."""
    images = read_table(PROJECT.images, IMAGES).to_pylist()
    images[-1]["status"] = "truncated"
    write_table(pa.Table.from_pylist(images, IMAGES), PROJECT.images, IMAGES)
    extra = {"image_id": "corpus.jpg", "path": "corpus.jpg", "split": "corpus", "status": "ok"}
    write_table(pa.Table.from_pylist([extra], IMAGES), PROJECT.corpus, IMAGES)
    write_table(CAPTIONS.empty_table(), PROJECT.captions, CAPTIONS)
    file = PROJECT.image_embeddings / "clip.parquet"
    known = Embeddings.read(file)
    vectors = np.concatenate([known.vectors, known.vectors[:1]])
    Embeddings([*known.ids, "corpus.jpg"], vectors, known.metadata).write(file)
    return small_project


def with_splits(params: Params, *splits: str) -> Params:
    return params.model_copy(update={"index": params.index.model_copy(update={"splits": list(splits)})})


def test_the_index_contains_the_selected_splits(with_corpus: Path, small_params: Params) -> None:
    metrics = run_index(with_splits(small_params, "train", "test"))
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
    assert index.table["image_id"].to_pylist() == [f"{i:02d}.jpg" for i in range(29)]
    assert run_index(with_splits(small_params, "corpus"))["n_images"] == 1
    assert Index.load(PROJECT.index).table["image_id"].to_pylist() == ["corpus.jpg"]


def test_captions_are_searched_as_descriptions(with_corpus: Path, small_params: Params) -> None:
    texts = ("A tower by the sea", "Boats")
    rows = [{"caption_id": str(number), "image_id": "corpus.jpg", "text": text} for number, text in enumerate(texts)]
    write_table(pa.Table.from_pylist(rows, CAPTIONS), PROJECT.captions, CAPTIONS)
    run_index(with_splits(small_params, "test", "corpus"))
    index = Index.load(PROJECT.index)
    row = index.find_row("corpus.jpg")
    assert row is not None
    assert index.table["description"][row].as_py() == "A tower by the sea; Boats"
    assert index.text_index is not None
    assert index.text_index.search("boat tower").rows.tolist() == [row]


def test_recall_is_measured_with_texts(
    with_corpus: Path, small_params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    queries = []

    def build(*args: Any, texts: Vectors, **options: Any) -> Index:
        queries.append(texts)
        return build_index(*args, texts=texts, **options)

    monkeypatch.setattr("tasks.index.build_index", build)
    run_index(small_params)
    assert np.array_equal(queries[0], Embeddings.read(PROJECT.text_embeddings / "clip.parquet").vectors)


def test_two_runs_write_equal_files(with_corpus: Path, small_params: Params) -> None:
    digests = []
    for _ in range(2):
        run_index(small_params)
        digests.append(folder_digest(PROJECT.index))
    assert digests[0] == digests[1]


def test_an_image_is_its_own_nearest_neighbour(with_corpus: Path, small_params: Params) -> None:
    run_index(small_params)
    index = Index.load(PROJECT.index)
    for row in (0, 7, 28):
        found, cosines = index.nearest(index.vectors["clip"].take(slice(row, row + 1)), 1)
        assert found.tolist() == [row]
        assert cosines[0] == pytest.approx(1.0, abs=2e-3)


def test_an_index_without_images_is_an_error_and_keeps_the_old_index(with_corpus: Path, small_params: Params) -> None:
    run_index(small_params)
    digest = folder_digest(PROJECT.index)
    write_table(IMAGES.empty_table(), PROJECT.corpus, IMAGES)
    with pytest.raises(SearchError, match="None of 0 images"):
        run_index(with_splits(small_params, "corpus"))
    assert folder_digest(PROJECT.index) == digest
