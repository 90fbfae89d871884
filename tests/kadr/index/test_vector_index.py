"""Tests of the vector index: kinds and memory budget, search, filters, deep pages, resumed builds and updates."""

import logging
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kadr.index import ImageVectors, inverted_lists, recall, vector_index
from kadr.index.inverted_lists import choose_kinds
from kadr.index.vector_index import VectorIndex
from kadr.io.embeddings import Rows, Vectors

N, DIM = 4000, 64
BUDGETS = {"exact": (N, None), "lists": (1, None), "compact": (1, 0.0003)}  # exact_max, memory_gb
KINDS = list(BUDGETS)


def unit_vectors(n: int, seed: int, noise: float = 0.4) -> Vectors:
    """Return vectors from 40 clusters: (n, DIM) float32, unit norm."""
    centres = np.random.default_rng(0).normal(size=(40, DIM))
    rng = np.random.default_rng(seed)
    vectors = centres[rng.integers(40, size=n)] + noise * rng.normal(size=(n, DIM))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def stretched(vectors: Vectors) -> Vectors:
    """Return vectors with a few large dimensions, as those of CLIP models: (n, DIM), unit norm."""
    scaled = vectors * np.where(np.arange(DIM) < 8, 30, 1).astype(np.float32)
    return scaled / np.linalg.norm(scaled, axis=1, keepdims=True)


def image_vectors(vectors: Vectors) -> ImageVectors:
    return ImageVectors(vectors.astype(np.float16), {"encoder": "clip"})


VECTORS, QUERIES = image_vectors(unit_vectors(N, 1)), unit_vectors(100, 2, noise=0.6)


@pytest.fixture(scope="module")
def indexes() -> dict[str, VectorIndex]:
    texts = unit_vectors(300, 3, noise=0.6)
    return {
        name: VectorIndex.build(VECTORS, exact_max, texts, memory_gb=memory_gb)
        for name, (exact_max, memory_gb) in BUDGETS.items()
    }


def nearest(queries: Vectors, vectors: ImageVectors, k: int, rows: Rows | None = None) -> Rows:
    """Return the exact row numbers, nearest first: (q, k)."""
    rows = np.arange(len(vectors.values)) if rows is None else rows
    return rows[np.argsort(-(queries @ vectors.take(rows).T), axis=1, kind="stable")[:, :k]]


def found_share(index: VectorIndex, vectors: ImageVectors, k: int = 10) -> float:
    """Return the recall of queries that were not used to build the index."""
    found = np.stack([rows for rows, _ in index.search(QUERIES, k, vectors)])
    return recall.mean_recall(nearest(QUERIES, vectors, k), found)


@pytest.mark.parametrize(
    ("n_images", "memory_gb", "kinds"),
    [
        (200_000, None, ["SQfp16"]),
        (200_000, 0.5, ["SQfp16"]),
        (1_000_000, None, ["IVF4000,SQfp16"]),
        (450_000, 0.5, ["IVF2683,SQfp16"]),
        (200_000, 0.1, ["RR,IVF1788,RaBitQ2", "RR,IVF1788,RaBitQ3", "RR,IVF1788,RaBitQ4"]),
        (1_000_000, 0.2, ["RR,IVF4000,RaBitQ2"]),
        (1_000_000, 0.25, ["RR,IVF4000,RaBitQ2", "RR,IVF4000,RaBitQ3"]),
        (1_000_000, 0.1, ["RR,IVF4000,RaBitQ1", "RR,IVF4000,RaBitQ2"]),
        (100_000_000, 16, ["RR,IVF16384,RaBitQ2"]),
    ],
)
def test_the_kind_depends_on_the_size_and_the_memory(n_images: int, memory_gb: float | None, kinds: list[str]) -> None:
    assert choose_kinds(n_images, 512, 200_000, memory_gb) == kinds


@pytest.mark.parametrize(
    ("kind", "factory", "depth"), [("exact", "SQfp16", 0), ("lists", "IVF252,SQfp16", 0), ("compact", "RaBitQ", 384)]
)
def test_each_kind_reaches_the_target_recall(
    kind: str, factory: str, depth: int, indexes: dict[str, VectorIndex]
) -> None:
    index = indexes[kind]
    assert factory in index.kind
    assert (index.nprobe > 0) == (kind != "exact")
    assert index.depth == depth
    assert index.recall >= 0.98
    assert found_share(index, VECTORS) > 0.95


def test_a_few_large_dimensions_need_no_more_candidates() -> None:
    vectors, texts = image_vectors(stretched(unit_vectors(N, 1))), stretched(unit_vectors(300, 3, noise=0.6))
    index = VectorIndex.build(vectors, 1, texts, memory_gb=0.0003)
    queries = stretched(QUERIES)
    candidates = index.faiss_index.search(queries, 20, params=index._parameters(None, N))[1]
    assert recall.mean_recall(nearest(queries, vectors, 10), candidates) > 0.98  # 0.93 without a rotation


@pytest.mark.parametrize("kind", KINDS)
def test_cosines_are_those_of_the_image_vectors(kind: str, indexes: dict[str, VectorIndex]) -> None:
    rows, cosines = indexes[kind].search(QUERIES[:1], 20, VECTORS)[0]
    np.testing.assert_allclose(cosines, VECTORS.take(rows) @ QUERIES[0], atol=1e-3)
    assert (np.diff(cosines) <= 0).all()


@pytest.mark.parametrize("brute_force_ratio", [1, N])
@pytest.mark.parametrize("kind", KINDS)
def test_only_selected_rows_are_found(
    kind: str, brute_force_ratio: int, indexes: dict[str, VectorIndex], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vector_index, "BRUTE_FORCE_RATIO", brute_force_ratio)
    selected = np.arange(0, N, 7)
    found = np.stack([rows for rows, _ in indexes[kind].search(QUERIES, 5, VECTORS, selected)])
    assert np.isin(found, selected).all()
    assert recall.mean_recall(nearest(QUERIES, VECTORS, 5, selected), found) > 0.95
    assert len(indexes[kind].search(QUERIES[:1], 5, VECTORS, selected[:0])[0][0]) == 0
    assert sorted(indexes[kind].search(QUERIES[:1], 5, VECTORS, selected[:2])[0][0]) == [0, 7]


@pytest.mark.parametrize("kind", ["lists", "compact"])
@pytest.mark.parametrize(("every", "k"), [(1, N), (2, 30), (100, 39), (700, 10)])
def test_lists_return_k_results_with_every_filter(
    kind: str, every: int, k: int, indexes: dict[str, VectorIndex], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vector_index, "BRUTE_FORCE_RATIO", N + 1)
    rows = np.arange(0, N, every)
    found, cosines = indexes[kind].search(QUERIES[:1], k, VECTORS, None if every == 1 else rows)[0]
    assert len(found) == min(k, len(rows))
    assert np.isin(found, rows).all()
    assert len(np.unique(found)) == len(found)
    assert (np.diff(cosines) <= 0).all()


def test_the_pages_of_a_query_fit_together(indexes: dict[str, VectorIndex]) -> None:
    all_pages = indexes["compact"].search(QUERIES[:1], 128, VECTORS)[0][0].tolist()
    for k in (1, 20, 100):
        assert indexes["compact"].search(QUERIES[:1], k, VECTORS)[0][0].tolist() == all_pages[:k]
    deep = np.stack([rows for rows, _ in indexes["compact"].search(QUERIES, 1000, VECTORS)])
    assert recall.mean_recall(nearest(QUERIES, VECTORS, 1000), deep) > 0.9


@pytest.mark.parametrize("kind", KINDS)
def test_equal_vectors_are_all_found_in_the_order_of_their_rows(kind: str) -> None:
    vectors = image_vectors(np.concatenate([unit_vectors(600, 4), np.repeat(QUERIES[:1], 30, axis=0)]))
    exact_max, memory_gb = BUDGETS[kind]
    index = VectorIndex.build(vectors, exact_max, memory_gb=memory_gb and 0.00007)
    assert index.search(QUERIES[:1], 30, vectors)[0][0].tolist() == list(range(600, 630))


@pytest.mark.parametrize("needed", [1, 2, 37, 100])
def test_nprobe_is_close_to_the_necessary_number_of_lists(needed: int) -> None:
    class Lists:
        def search(self, queries: Vectors, k: int, params: Any) -> tuple[None, np.ndarray]:
            missed = min(1, max(0, needed - params.nprobe) / 20)  # share of queries without a result
            return None, np.where(np.arange(len(queries))[:, None] < missed * len(queries), -1, expected)

    expected = np.tile(np.arange(10), (512, 1))
    nprobe, mean, is_enough = vector_index.choose_nprobe(Lists(), 100, np.empty((512, 2), np.float32), expected, 10)
    assert needed <= nprobe <= needed + max(1, needed // 8)
    assert mean >= 0.98
    assert is_enough


def test_mean_recall() -> None:
    assert recall.mean_recall(np.array([[1, 2], [3, 4]]), np.array([[2, 5, 1], [9, 8, 3]])) == 0.75


def test_an_index_that_needs_more_memory_is_built_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    index = VectorIndex.build(VECTORS, 1, unit_vectors(300, 3, noise=0.6), memory_gb=0.0001)
    assert index.recall >= 0.98
    assert any(
        "needs 0.00 GB of memory, more than index.memory_gb: 0.0001" in record.getMessage()
        for record in caplog.records
        if record.levelno == logging.WARNING
    )


def test_an_index_written_by_older_code_is_read(tmp_path: Path, indexes: dict[str, VectorIndex]) -> None:
    indexes["lists"].write(tmp_path / "clip.faiss")
    older = {key: indexes["lists"].describe()[key] for key in ("kind", "nprobe", "recall_at_10")}
    index = VectorIndex.read(tmp_path / "clip.faiss", older)
    assert (index.depth, index.n_trained, index.n_changed) == (0, N, 0)
    assert found_share(index, VECTORS) > 0.95


KILLED_BUILD = """
import os, signal, sys
from pathlib import Path
import numpy as np
from kadr.index import ImageVectors, inverted_lists
from kadr.index.vector_index import VectorIndex

hash_parts, n_chunks = inverted_lists._hash, 0

def kill_later(*parts):
    global n_chunks
    n_chunks += 1
    if n_chunks == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return hash_parts(*parts)

inverted_lists.CHUNK_SIZE, inverted_lists._hash = 500, kill_later
vectors = ImageVectors(np.load(sys.argv[1], mmap_mode="r"), {})
VectorIndex.build(vectors, 1, memory_gb=0.0003, folder=Path(sys.argv[2]))
"""


def test_a_killed_build_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inverted_lists, "CHUNK_SIZE", 500)
    VECTORS.write(tmp_path / "vectors.npy")
    folder, arguments = tmp_path / "build", [str(tmp_path / "vectors.npy"), str(tmp_path / "build")]
    killed = subprocess.run([sys.executable, "-c", KILLED_BUILD, *arguments], check=False)
    assert killed.returncode == -signal.SIGKILL
    kept = {path: path.stat().st_mtime_ns for path in folder.rglob("*.npy")}
    assert len(kept) == 1 + 3  # k-means centres, and encoded chunks
    damaged = next(path for path in kept if path.parent != folder)
    damaged.write_bytes(damaged.read_bytes()[:100])
    resumed = VectorIndex.build(VECTORS, 1, memory_gb=0.0003, folder=folder)
    assert {path for path, mtime in kept.items() if path.stat().st_mtime_ns != mtime} == {damaged}
    fresh = VectorIndex.build(VECTORS, 1, memory_gb=0.0003)
    assert resumed.describe() == fresh.describe()
    for name, index in {"resumed": resumed, "fresh": fresh}.items():
        index.write(tmp_path / name)
    assert (tmp_path / "resumed").read_bytes() == (tmp_path / "fresh").read_bytes()


def copied(index: VectorIndex, folder: Path) -> VectorIndex:
    """Return a copy of an index, because an update changes the FAISS index in place."""
    index.write(folder / "copy.faiss")
    return VectorIndex.read(folder / "copy.faiss", index.describe())


@pytest.mark.parametrize("kind", ["lists", "compact"])
def test_an_update_keeps_the_lists(kind: str, tmp_path: Path, indexes: dict[str, VectorIndex]) -> None:
    exact_max, memory_gb = BUDGETS[kind]
    kept = np.random.default_rng(5).permutation(N)[: N - 500]  # a renamed image can change its position
    new_rows = np.setdiff1d(np.arange(N - 500 + 300), np.arange(0, 3000, 10))
    values = np.empty((N - 200, DIM), np.float32)
    values[new_rows] = VECTORS.take(kept)
    values[np.arange(0, 3000, 10)] = unit_vectors(300, 6)
    vectors = image_vectors(values)
    old = copied(indexes[kind], tmp_path)
    updated = old.update(kept, new_rows, vectors, exact_max, memory_gb=memory_gb)
    assert updated.faiss_index is old.faiss_index
    assert (updated.n_trained, updated.n_changed) == (N, 800)
    assert updated.recall >= 0.98
    assert found_share(updated, vectors) > 0.95
    added = updated.search(values[:1], 1, vectors)[0]
    assert (added[0][0], round(float(added[1][0]), 2)) == (0, 1)
    assert sorted(updated.search(QUERIES[:1], N, vectors)[0][0]) == list(range(N - 200))


@pytest.mark.parametrize(
    ("n_added", "n_changed", "exact_max", "memory_gb", "kind"),
    [
        (10, 0, 1, 0.0003, "RR,IVF252,RaBitQ2"),
        (10, 3995, 1, 0.0003, "RR,IVF253,RaBitQ2"),
        (10, 0, 1, None, "IVF253,SQfp16"),
        (10, 0, 5000, None, "SQfp16"),
    ],
)
def test_an_update_builds_the_index_again_if_necessary(
    n_added: int,
    n_changed: int,
    exact_max: int,
    memory_gb: float | None,
    kind: str,
    tmp_path: Path,
    indexes: dict[str, VectorIndex],
) -> None:
    rows = np.arange(N)
    vectors = image_vectors(np.concatenate([VECTORS.take(rows), unit_vectors(n_added, 7)]))
    old = replace(copied(indexes["compact"], tmp_path), n_changed=n_changed)
    updated = old.update(rows, rows, vectors, exact_max, memory_gb=memory_gb)
    assert updated.kind == kind
    assert found_share(updated, vectors) > 0.95
