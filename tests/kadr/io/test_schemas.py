"""Tests of Parquet tables: round trips, schema checks and damaged files."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kadr.errors import SchemaError
from kadr.io.embeddings import Embeddings
from kadr.io.schemas import QUERIES, read_table, write_table

ROWS = [{"query_id": f"{n}.jpg#0", "text": f"text {n}", "image_id": f"{n}.jpg", "split": "train"} for n in range(20)]
TABLE = pa.Table.from_pylist(ROWS, QUERIES)
UNIT = np.eye(20, dtype=np.float32)


def test_equal_tables_are_written_as_equal_files(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_table(TABLE, tmp_path / name, QUERIES)
    assert read_table(tmp_path / "one", QUERIES) == TABLE
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]


def test_a_missing_table_or_another_schema_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match=r"none: the table does not exist\. Run `dvc repro`"):
        read_table(tmp_path / "none", QUERIES)
    Embeddings([str(row) for row in range(20)], UNIT, {}).write(tmp_path / "vectors")
    with pytest.raises(SchemaError, match="the columns are"):
        read_table(tmp_path / "vectors", QUERIES)


@pytest.mark.parametrize("seed", range(8))
def test_a_damaged_file_is_an_error_or_has_the_same_values(tmp_path: Path, seed: int) -> None:
    """Damage to bytes that are not read, such as unused statistics, may remain undetected."""
    write_table(TABLE, tmp_path / "table", QUERIES)
    content = (tmp_path / "table").read_bytes()
    rng = np.random.default_rng(seed)
    for _ in range(20):
        damaged, start = bytearray(content), rng.integers(len(content) - 8)
        for position in range(start, start + 8):
            damaged[position] ^= int(rng.integers(1, 256))
        for variant in (bytes(damaged), content[:start]):
            (tmp_path / "table").write_bytes(variant)
            try:
                assert read_table(tmp_path / "table", QUERIES).to_pylist() == ROWS
            except SchemaError as error:
                assert str(tmp_path / "table") in str(error)  # noqa: PT017


def test_nullable_columns_that_a_file_lacks_are_null(tmp_path: Path) -> None:
    pq.write_table(TABLE.drop_columns(["image_id"]), tmp_path / "older")
    with pytest.raises(SchemaError, match="the columns are"):
        read_table(tmp_path / "older", QUERIES)
    table = read_table(tmp_path / "older", QUERIES, fill_missing=True)
    assert table["image_id"].null_count == len(ROWS)
    pq.write_table(TABLE.drop_columns(["text"]), tmp_path / "damaged")  # a required column
    with pytest.raises(SchemaError, match="the columns are"):
        read_table(tmp_path / "damaged", QUERIES, fill_missing=True)
