"""Memory-mapped NumPy files: arrays on a disk that do not have to fit into memory."""

import mmap
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt


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


def is_mapped_from(values: npt.NDArray[Any], path: Path) -> bool:
    """Return whether an array is the memory-mapped content of a file."""
    if not isinstance(values, np.memmap) or not isinstance(values.base, mmap.mmap) or values.filename is None:
        return False
    return path.exists() and os.path.exists(values.filename) and path.samefile(values.filename)
