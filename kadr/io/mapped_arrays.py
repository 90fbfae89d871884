"""Memory-mapped NumPy files: arrays on a disk that do not have to fit into memory."""

import mmap
import os
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

_ROWS_AT_ONCE = 4096  # number of rows that RowReader copies at once


def create_array(path: Path, shape: Sequence[int], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Create a NumPy file of zeros, and memory-map it for writing.

    Raises:
        OSError: the file cannot be created, or the disk has too little space for the array.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    values: npt.NDArray[Any] = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=tuple(shape))
    if hasattr(os, "posix_fallocate"):  # otherwise, a write to a full disk would end the process
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return values


def release_pages(values: npt.NDArray[Any]) -> None:
    """Remove the pages of a memory-mapped array from the memory of this process. Other arrays are not changed.

    The operating system keeps the pages in its cache, and writes changed pages to the file.
    """
    if isinstance(values.base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        values.base.madvise(mmap.MADV_DONTNEED)


class RowReader:
    """Read single rows of a memory-mapped array from its file.

    A row of a memory map occupies the memory of at least one page, and often of many neighbouring pages, until the map
    is released. This class reads only the bytes of the rows.
    """

    def __init__(self, values: npt.NDArray[Any], path: Path) -> None:
        """Open the file of an array.

        Args:
            values: (n, d) array that was memory-mapped from `path`.
            path: NumPy file.

        Raises:
            OSError: the file cannot be opened.
        """
        self._values = values
        self._offset = path.stat().st_size - values.nbytes  # a NumPy file is a header and the values
        self._file = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._file)
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(self._file, 0, 0, os.POSIX_FADV_RANDOM)

    def read(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """Return rows of the array: (len(rows), d)."""
        selected = np.empty((len(rows), self._values.shape[1]), self._values.dtype)
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            block = rows[start : start + _ROWS_AT_ONCE]
            values = self._read_block(block) if hasattr(os, "pread") else self._values[block]
            selected[start : start + _ROWS_AT_ONCE] = values
        return selected

    def _read_block(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        n_bytes = self._values[:1].nbytes
        file, offsets = self._file, (rows * n_bytes + self._offset).tolist()
        if hasattr(os, "posix_fadvise"):  # a disk reads several rows at once
            for offset in offsets:
                os.posix_fadvise(file, offset, n_bytes, os.POSIX_FADV_WILLNEED)
        content = b"".join([os.pread(file, n_bytes, offset) for offset in offsets])
        return np.frombuffer(content, self._values.dtype).reshape(-1, self._values.shape[1])


def take_rows(values: npt.NDArray[Any], rows: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    """Return a copy of rows of an array. If the array is memory-mapped, its pages leave the memory of this process."""
    taken: npt.NDArray[Any] = values[rows]
    release_pages(values)
    return taken


def is_mapped_from(values: npt.NDArray[Any], path: Path) -> bool:
    """Return whether an array is the memory-mapped content of a file."""
    if not isinstance(values, np.memmap) or not isinstance(values.base, mmap.mmap) or values.filename is None:
        return False
    return path.exists() and os.path.exists(values.filename) and path.samefile(values.filename)
