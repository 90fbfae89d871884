"""Tests of vectors that are copied from memory, from tables and from several sources."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kadr.errors import SchemaError
from kadr.io import embeddings, embeddings_table
from kadr.io.embeddings import Embeddings, VectorParts, VectorSource
from kadr.io.embeddings_table import EmbeddingsTable
from kadr.io.mapped_arrays import create_array

IDS = [f"{number:02d}" for number in range(20)]
VECTORS = np.eye(20, dtype=np.float32)
MEMORY = Embeddings(IDS, VECTORS, {"encoder": "clip"})


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (embeddings, embeddings_table):
        monkeypatch.setattr(module, "CHUNK_SIZE", 3)


@pytest.fixture(params=["memory", "table", "parts"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> VectorSource:
    """The same 20 vectors in memory, in a table, or partly in memory and partly in a table."""
    MEMORY.write(tmp_path / "table.parquet")
    last = Embeddings(IDS[7:], VECTORS[7:], MEMORY.metadata)
    last.write(tmp_path / "last.parquet")
    parts = [Embeddings(IDS[:7], VECTORS[:7], MEMORY.metadata), EmbeddingsTable.open(tmp_path / "last.parquet")]
    return {
        "memory": MEMORY,
        "table": EmbeddingsTable.open(tmp_path / "table.parquet"),
        "parts": VectorParts.join(parts),
    }[request.param]


def test_vectors_are_copied_to_any_rows(source: VectorSource, tmp_path: Path) -> None:
    wanted = ["13", "02", "07", "02", "19", "08"]
    out = create_array(tmp_path / "out.npy", (7, 20), np.float16)
    source.copy(source.rows(pa.array(wanted)), out, np.array([6, 0, 1, 2, 3, 5]))
    assert np.load(tmp_path / "out.npy").argmax(axis=1).tolist() == [2, 7, 2, 19, 0, 8, 13]
    assert not out[4].any()


def test_all_vectors_are_loaded(source: VectorSource) -> None:
    loaded = source.load()
    assert (loaded.ids, loaded.metadata, loaded.dim) == (IDS, MEMORY.metadata, 20)
    assert np.array_equal(loaded.vectors, VECTORS)


def test_an_unknown_id_is_an_error(source: VectorSource) -> None:
    with pytest.raises(SchemaError, match="Encoder clip has no vector for ID 'x'"):
        source.rows(["01", "x"])


def test_a_damaged_table_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    with pytest.raises(SchemaError, match="the table does not exist"):
        EmbeddingsTable.open(path)
    MEMORY.write(path)
    table = EmbeddingsTable.open(path)
    content = bytearray(path.read_bytes())
    vectors = pq.ParquetFile(path).metadata.row_group(0).column(1)
    content[vectors.data_page_offset + vectors.total_compressed_size - 5] ^= 1
    path.write_bytes(content)
    with pytest.raises(SchemaError, match=r"the Parquet file cannot be read .*Delete the file"):
        table.load()
    path.write_bytes(content[:100])
    with pytest.raises(SchemaError, match=r"the Parquet file cannot be read"):
        EmbeddingsTable.open(path)
