"""Tables on the disk: whole or refused, whatever byte of them is damaged."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from kadr.errors import SchemaError
from kadr.io.embeddings import Embeddings
from kadr.io.schemas import QUERIES, read_table, write_table

ROWS = [{"query_id": f"{n}.jpg#0", "text": f"text {n}", "image_id": f"{n}.jpg", "split": "train"} for n in range(20)]
TABLE = pa.Table.from_pylist(ROWS, QUERIES)
UNIT = np.eye(20, dtype=np.float32)


def test_a_table_comes_back_and_the_same_rows_are_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_table(TABLE, tmp_path / name, QUERIES)
    assert read_table(tmp_path / "one", QUERIES) == TABLE
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]


def test_a_missing_table_and_one_of_other_columns(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match=r"none: no such table\. Run `dvc repro`"):
        read_table(tmp_path / "none", QUERIES)
    Embeddings([str(row) for row in range(20)], UNIT, {}).write(tmp_path / "vectors")
    with pytest.raises(SchemaError, match="the columns are"):
        read_table(tmp_path / "vectors", QUERIES)


@pytest.mark.parametrize("seed", range(8))
def test_damage_is_refused_with_the_file_and_what_to_do(tmp_path: Path, seed: int) -> None:
    """Bytes that belong to no value (names, counts, unused statistics) may change; values never do."""
    write_table(TABLE, tmp_path / "table", QUERIES)
    whole = (tmp_path / "table").read_bytes()
    rng = np.random.default_rng(seed)
    for _ in range(20):
        damaged, at = bytearray(whole), rng.integers(len(whole) - 8)
        for place in range(at, at + 8):
            damaged[place] ^= int(rng.integers(1, 256))
        for content in (bytes(damaged), whole[:at]):
            (tmp_path / "table").write_bytes(content)
            try:
                assert read_table(tmp_path / "table", QUERIES).to_pylist() == ROWS
            except SchemaError as error:
                assert str(tmp_path / "table") in str(error)  # noqa: PT017
