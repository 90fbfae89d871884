"""Tests of updates: the vector index and the prepared features of unchanged images are kept."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from kadr.features import Images
from kadr.index import Index, build_index
from kadr.index.kept_images import find_kept_images
from kadr.index.vector_index import VectorIndex
from kadr.io.embeddings import Embeddings, Vectors
from kadr.io.schemas import IMAGES

N, DIM = 900, 8
VECTORS = np.random.default_rng(0).normal(size=(N + 100, DIM)).astype(np.float32)
VECTORS /= np.linalg.norm(VECTORS, axis=1, keepdims=True)


class CountingModel:
    """A relevance model that counts the images that it prepares."""

    key = "model 1"

    def __init__(self) -> None:
        self.n_prepared = 0

    def prepare(self, images: Images) -> dict[str, np.ndarray]:
        self.n_prepared += len(images.ids)
        return {"first": images.vectors["clip"][:, 0]}


def build(
    rows: dict[str, int], model: CountingModel, folder: Path, old: Index | None = None, vectors: Vectors = VECTORS
) -> Index:
    """Build an index of images: ID -> row of its vector, which is also its content."""
    folder.mkdir()
    table = pa.Table.from_pylist(
        [{"image_id": id_, "path": id_, "split": "", "sha256": str(row), "status": "ok"} for id_, row in rows.items()],
        IMAGES,
    )
    source = {"clip": Embeddings(list(rows), vectors[list(rows.values())], {"encoder": "clip"})}
    index = build_index(table, source, "clip", 100, model=model, old=old, folder=folder)  # type: ignore[arg-type]
    index.write(folder)
    return Index.load(folder, verify_all=True)


def test_an_update_equals_a_new_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {f"{row:04d}": row for row in range(N)}
    model = CountingModel()
    old = build(rows, model, tmp_path / "old")
    assert old.vector_index.describe()["nprobe"]
    changed = {id_: row for id_, row in rows.items() if row % 10}  # 90 images are removed
    changed["0001"] = N  # an image with new content
    changed["9999"] = changed.pop("0002")  # a moved image
    changed |= {f"new {row}": row for row in range(N + 1, N + 51)}
    model.n_prepared = 0
    with monkeypatch.context() as patched:
        patched.setattr(VectorIndex, "build", lambda *_, **__: pytest.fail("the lists are trained again"))
        updated = build(changed, model, tmp_path / "updated", old)
    assert model.n_prepared == 51
    expected = build(changed, model, tmp_path / "expected")
    assert updated.table.equals(expected.table)
    assert np.array_equal(updated.vectors["clip"].values, expected.vectors["clip"].values)
    assert np.array_equal(updated.prepared["first"], expected.prepared["first"])
    for row in range(0, len(changed), 31):
        query = updated.vectors["clip"].take(np.array([row]))
        found, cosines = updated.nearest(query, 5)
        exact = np.sort(updated.vectors["clip"].take(slice(None)) @ query[0])[::-1]
        assert found[0] == row
        assert cosines[0] == pytest.approx(exact[0], abs=2e-3)


def test_images_are_kept_if_their_vectors_are_equal_bit_by_bit(tmp_path: Path) -> None:
    model = CountingModel()
    old = build({"a": 0, "b": 1, "c": 2, "d": 3}, model, tmp_path / "old")
    others = VECTORS.copy()
    others[1] = -others[1]
    new = build({"b": 1, "c": 2, "e": 0, "f": 0, "g": 9}, model, tmp_path / "new", vectors=others)
    kept = find_kept_images(old.table, old.vectors, new.table, new.vectors)
    assert kept.new_rows.tolist() == [1, 2]  # c, and e, which is one of two copies of a
    assert kept.old_rows.tolist() == [2, 0]
    renamed = {"other": new.vectors["clip"]}
    assert not len(find_kept_images(old.table, old.vectors, new.table, renamed).new_rows)
