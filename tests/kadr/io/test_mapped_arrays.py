"""Tests of reading the rows of memory-mapped arrays."""

from pathlib import Path

import numpy as np
import pytest

from kadr.io.mapped_arrays import RowReader


@pytest.mark.parametrize("rows", [[0, 3, 9], [9, 0, 0], [], list(range(10)) * 500])
@pytest.mark.parametrize("shape", [(10, 4), (10, 3)])
def test_rows_of_a_file_are_read(rows: list[int], shape: tuple[int, int], tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=shape).astype(np.float16)
    np.save(tmp_path / "values.npy", values)
    mapped = np.load(tmp_path / "values.npy", mmap_mode="r")
    reader = RowReader(mapped, tmp_path / "values.npy")
    (tmp_path / "values.npy").unlink()  # `kadr index` deletes the files of old versions
    selected = reader.read(np.array(rows, np.int64))
    assert selected.dtype == np.float16
    np.testing.assert_array_equal(selected, values[rows])
