"""Build and update the inverted lists (IVF) of a FAISS index in bounded memory.

The lists are the Voronoi cells of k-means centres (Sivic and Zisserman 2003). A list contains vectors in float16, or
codes of 1 to 4 bits per dimension (RaBitQ, Gao and Long 2024; Gao et al. 2025). RaBitQ needs a random rotation, because
the dimensions of image vectors have different variances.

A build writes the k-means centres and the encoded chunks of vectors to files. The name of a file is a hash of the data
from which the file was computed. An interrupted build therefore resumes with the files that exist.
"""

import hashlib
import logging
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from kadr.index.image_vectors import HalfVectors, ImageVectors
from kadr.index.recall import Cosines
from kadr.io.embeddings import CHUNK_SIZE, Rows, Vectors, evenly_spaced_rows
from kadr.io.storage import write_atomically

EXACT = "SQfp16"
"""FAISS factory string of an exact search."""

_PRECISE = "IVF{},SQfp16"
_COMPACT = "RR,IVF{},RaBitQ{}"
_LISTS_PER_ROOT = 4  # the number of lists is this factor times the square root of the number of images
_MAX_LISTS = 16_384  # more lists take longer to assign than they save in a search
_TRAINING_VECTORS_PER_LIST = 40  # FAISS recommends at least 39
_ENCODER_SAMPLE = 1000  # FAISS requires vectors, but these encoders have nothing to train
_ID_SIZE = 8  # bytes
_SEED = 1234

Codes = npt.NDArray[np.uint8]


def choose_kinds(n_images: int, dim: int, exact_max: int, memory_gb: float | None) -> list[str]:
    """Return the FAISS factory strings of the possible kinds of an index, in the order in which to try them.

    Vectors in float16 come first. If they do not fit in the memory, RaBitQ with 2, 3 and 4 bits follows. If not even 2
    bits fit, the kinds are RaBitQ with 1 bit and with 2 bits.

    Args:
        n_images: number of vectors.
        dim: number of dimensions of a vector.
        exact_max: maximum number of images for exact search.
        memory_gb: memory of the vector index in GB (1e9 bytes). None is no limit.
    """
    n_lists = min(n_images, _MAX_LISTS, int(_LISTS_PER_ROOT * np.sqrt(n_images)))
    precise = EXACT if n_images <= exact_max else _PRECISE.format(n_lists)
    n_bytes = np.inf if memory_gb is None else memory_gb * 1e9
    if index_size(precise, n_images, dim) <= n_bytes:
        return [precise]
    compact = {bits: _COMPACT.format(n_lists, bits) for bits in (1, 2, 3, 4)}
    fitting = [compact[bits] for bits in (2, 3, 4) if index_size(compact[bits], n_images, dim) <= n_bytes]
    return fitting or [compact[1], compact[2]]


def index_size(kind: str, n_images: int, dim: int) -> int:
    """Return the memory of a FAISS index in bytes.

    Args:
        kind: FAISS factory string.
        n_images: number of vectors.
        dim: number of dimensions of a vector.
    """
    index = _make(kind, dim)
    if kind == EXACT:
        return n_images * int(index.code_size)
    lists = extract_lists(index)
    centre_size = dim * np.dtype(np.float32).itemsize
    return n_images * (int(lists.code_size) + _ID_SIZE) + int(lists.nlist) * centre_size


def is_compact(kind: str) -> bool:
    """Return whether the vectors of an index are RaBitQ codes, whose cosines are approximate."""
    return "RaBitQ" in kind


def is_same_encoding(kind: str, other: str) -> bool:
    """Return whether two kinds of index encode vectors in the same way. They can have different numbers of lists."""
    return re.sub(r"\d+,", ",", kind) == re.sub(r"\d+,", ",", other)


def build_exact(vectors: ImageVectors) -> Any:
    """Return a FAISS index for exact search."""
    index = _make(EXACT, vectors.dim)
    for start in range(0, len(vectors.values), CHUNK_SIZE):
        index.add(vectors.take(slice(start, start + CHUNK_SIZE)))
        vectors.release()
    return index


def compare(query: npt.NDArray[np.float32], vectors: HalfVectors) -> Cosines:
    """Return the inner product of a query with each vector: (n,) float32. It is the same for equal vectors.

    Args:
        query: (d,) float32.
        vectors: (n, d) float16.
    """
    index = _make(EXACT, len(query))
    index.add_sa_codes(np.ascontiguousarray(vectors).view(np.uint8))
    products, order = index.search(query[None], len(vectors))
    unsorted = np.empty(len(vectors), np.float32)
    unsorted[order[0]] = products[0]
    return unsorted


def build_lists(kind: str, vectors: ImageVectors, folder: Path) -> Any:
    """Return a FAISS index with inverted lists. Only the index and one chunk of vectors are in memory.

    Args:
        kind: FAISS factory string.
        vectors: image vectors, at least one.
        folder: folder of the intermediate files, which take about as much space as the index. If it contains files of
            an interrupted build of the same vectors, the build resumes.
    """
    index = _make(kind, vectors.dim)
    lists = extract_lists(index)
    sample = evenly_spaced_rows(len(vectors.values), _TRAINING_VECTORS_PER_LIST * lists.nlist)
    centres_path = folder / f"{_hash(_SEED, lists.nlist, vectors.take_half(sample))}.npy"
    centres = _load_or_compute(centres_path, lambda: _train(lists.nlist, vectors.take(sample)))
    if is_compact(kind):
        rotation = load_faiss().downcast_VectorTransform(index.chain.at(0))
        rotation.init(_SEED)
        centres = rotation.apply(centres)
    lists.quantizer.add(centres)
    index.train(vectors.take(sample[:_ENCODER_SAMPLE]))
    chunks = list(_encode(index, kind, vectors, folder / centres_path.stem))
    sizes = np.zeros(lists.nlist, np.int64)
    for path in chunks:
        sizes += np.bincount(_list_numbers(lists, np.load(path)), minlength=lists.nlist)
    _reserve(lists, sizes)
    for path in chunks:
        lists.add_sa_codes(np.load(path))
    index.ntotal = lists.ntotal
    return index


def change_rows(index: Any, old_rows: Rows, new_rows: Rows, vectors: ImageVectors) -> None:
    """Remove images from an index with inverted lists, renumber the other images, and add new images.

    Args:
        index: FAISS index. It is changed in place.
        old_rows: (m,) row number of each kept image in the index.
        new_rows: (m,) row number of each kept image in `vectors`.
        vectors: image vectors after the change. Rows that are not in `new_rows` are added.
    """
    faiss, lists = load_faiss(), extract_lists(index)
    row_map = np.full(index.ntotal, -1)
    row_map[old_rows] = new_rows
    if (row_map < 0).any():
        index.remove_ids(select_rows(np.flatnonzero(row_map < 0), index.ntotal))
    for number in range(lists.nlist):
        ids = faiss.rev_swig_ptr(lists.invlists.get_ids(number), lists.invlists.list_size(number))
        ids[:] = row_map[ids]
    is_added = np.ones(len(vectors.values), bool)
    is_added[new_rows] = False
    added = np.flatnonzero(is_added)
    for start in range(0, len(added), CHUNK_SIZE):
        rows = added[start : start + CHUNK_SIZE]
        index.add_with_ids(vectors.take(rows), rows)
        vectors.release()


def extract_lists(index: Any) -> Any:
    """Return the inverted lists (IndexIVF) of a FAISS index, which can be behind a rotation."""
    return load_faiss().extract_index_ivf(index)


def select_rows(rows: Rows, n_rows: int) -> Any:
    """Return a FAISS selector of row numbers.

    Args:
        rows: selected row numbers.
        n_rows: number of rows.
    """
    selected = np.zeros(n_rows, bool)
    selected[rows] = True
    return load_faiss().IDSelectorBitmap(np.packbits(selected, bitorder="little"))


@cache
def load_faiss() -> ModuleType:
    """Import FAISS without the log messages of its loader."""
    logging.getLogger("faiss.loader").setLevel(logging.WARNING)
    import faiss

    return faiss


def _make(kind: str, dim: int) -> Any:
    faiss = load_faiss()
    return faiss.index_factory(dim, kind, faiss.METRIC_INNER_PRODUCT)


def _train(n_lists: int, sample: Vectors) -> Vectors:
    """Return k-means centres: (n_lists, d)."""
    index = _make(f"IVF{n_lists},Flat", sample.shape[1])
    index.cp.seed = _SEED
    index.train(sample)
    centres: Vectors = index.quantizer.reconstruct_n(0, n_lists)
    return centres


def _encode(index: Any, kind: str, vectors: ImageVectors, folder: Path) -> Iterator[Path]:
    """Yield the files of the encoded chunks: (chunk size, code size) uint8. A code starts with the list number."""
    for start in range(0, len(vectors.values), CHUNK_SIZE):
        rows = slice(start, start + CHUNK_SIZE)
        path = folder / f"{_hash(kind, vectors.take_half(rows))}.npy"
        _load_or_compute(path, lambda rows=rows: index.sa_encode(vectors.take(rows)))  # type: ignore[misc]
        vectors.release()
        yield path


def _list_numbers(lists: Any, codes: Codes) -> Rows:
    """Return the list number of each code: (n,). It is stored in little-endian order."""
    n_bytes = lists.coarse_code_size()
    numbers: Rows = codes[:, :n_bytes].astype(np.int64) @ (256 ** np.arange(n_bytes))
    return numbers


def _reserve(lists: Any, sizes: Rows) -> None:
    """Allocate the memory of each list once. Growing lists would allocate up to twice the memory."""
    for number, size in enumerate(sizes.tolist()):
        lists.invlists.resize(number, size)
        lists.invlists.resize(number, 0)


def _hash(*parts: object) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(np.ascontiguousarray(part).data if isinstance(part, np.ndarray) else f"{part}\n".encode())
    return digest.hexdigest()[:32]


def _load_or_compute(path: Path, compute: Callable[[], npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Return the array in a file. If the file is missing or damaged, compute the array and write the file."""
    try:
        loaded: npt.NDArray[Any] = np.load(path, allow_pickle=False)
    except (EOFError, OSError, ValueError):
        pass
    else:
        return loaded
    values = compute()
    with write_atomically(path) as partial, partial.open("wb") as file:
        np.save(file, values)
    return values
