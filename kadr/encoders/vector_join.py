"""Join vectors that exist already with images or texts: by ID, by path, or by file name."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kadr.errors import InputError
from kadr.ingest.image_names import resolve_names
from kadr.io.embeddings import FloatVectors, Rows, VectorSource, id_array
from kadr.io.mapped_arrays import release_pages
from kadr.io.vector_files import VectorFiles

logger = logging.getLogger(__name__)

NO_VECTOR = "no_vector"
"""Status of an image or text that has no vector in the files."""

INVALID_VECTOR = "invalid_vector"
"""Status of an image or text whose vector is zero, or contains NaN or infinity."""

_UNIT_TOLERANCE = 2e-3  # float16 vectors of unit norm have a norm of 1 +- 0.001
_SAME_COSINE = 0.999  # vectors of the same image or text that were computed in different batches

Norms = npt.NDArray[np.float32]
Names = Mapping[str, str] | Sequence[str]
"""Names by which the files can refer to images or texts: name -> ID, or a sequence with the name of each ID."""


@dataclass(frozen=True)
class JoinedVectors(VectorSource):
    """Unit vectors of the images or texts that have one. The vectors stay in their files.

    Attributes:
        ids: (n,) IDs with a valid vector, as an Arrow array.
        metadata: description of the encoder.
        problems: NO_VECTOR or INVALID_VECTOR for each other ID of the request.
        files: files of the vectors.
        file_rows: (n,) row of the vector of each ID in the files.
        norms: norm of each vector in the files. 1 for a vector that is not scaled.
    """

    ids: Sequence[str]
    metadata: dict[str, str]
    problems: dict[str, str]
    files: VectorFiles
    file_rows: Rows
    norms: Norms

    @property
    def dim(self) -> int:
        """Number of dimensions d of each vector."""
        return self.files.dim

    def copy(self, rows: Rows, out: FloatVectors, targets: Rows) -> None:
        """Copy vectors to rows of an array, in the order of the files."""
        file_rows = self.file_rows[rows]
        order = np.argsort(file_rows, kind="stable")
        file_rows, targets = file_rows[order], targets[order]
        for part_rows, vectors in self.files.read(np.unique(file_rows)):
            first, last = np.searchsorted(file_rows, [part_rows[0], part_rows[-1] + 1])
            unit_vectors = vectors / self.norms[part_rows, None]
            out[targets[first:last]] = unit_vectors[np.searchsorted(part_rows, file_rows[first:last])]
            release_pages(out)


def join_vectors(
    files: VectorFiles,
    ids: Sequence[str],
    names: Sequence[Names],
    *,
    only_first: bool = False,
    metadata: dict[str, str] | None = None,
) -> JoinedVectors:
    """Find the vector of each ID.

    The columns of the files are tried in their order, from the most to the least specific. The names are compared
    exactly. A vector that has unit norm in the files is not changed.

    Args:
        files: vectors.
        ids: IDs of the images or texts, unique, as a sequence of strings or as an Arrow array.
        names: names by which the files can refer to an ID, most specific first.
        only_first: whether to use the first vector of an ID without comparing it with the other vectors of the ID.
        metadata: description of the encoder.

    Returns:
        The vectors of the IDs that have a valid vector, in the order of the request.

    Raises:
        InputError: the files have different vectors for one ID.
    """
    wanted = id_array(ids)
    rows, repeated = _find_rows(files, wanted, names)
    if not only_first:
        _check_repeated(files, wanted, repeated)
    is_found = rows >= 0
    norms, is_valid = _measure_norms(files, np.unique(rows[is_found]))
    is_usable = is_found & is_valid[rows]
    problems = dict.fromkeys(wanted.filter(pa.array(~is_found)).to_pylist(), NO_VECTOR)
    problems |= dict.fromkeys(wanted.filter(pa.array(is_found & ~is_usable)).to_pylist(), INVALID_VECTOR)
    if len(wanted):
        logger.info("%s: %d of %d images or texts have a vector.", files.path, is_found.sum(), len(wanted))
    kept = wanted if is_usable.all() else wanted.filter(pa.array(is_usable))
    return JoinedVectors(kept, metadata or {}, problems, files, rows[is_usable], norms)


def join_by_file_name(files: VectorFiles, paths: Mapping[str, str]) -> dict[str, str]:
    """Resolve the names in the files that equal no ID and no path.

    Args:
        files: vectors.
        paths: path of each image relative to one folder -> image ID.

    Returns:
        Name in the files -> image ID.
    """
    stems = pa.array(sorted({_stem(path) for path in paths}), pa.large_string())
    names: dict[str, str] = {}
    for column in files.columns:
        values = files.column(column).drop_null().unique()
        resembling = values.filter(pc.is_in(_stems(values), value_set=stems)) if len(values) > len(stems) else values
        matches = resolve_names(resembling.to_pylist(), set(paths))
        for sentence in matches.describe():
            logger.info("%s, column %s: %s", files.path, column, sentence)
        names |= {name: paths[file] for name, file in matches.files.items() if name not in names}
    return names


def _find_rows(files: VectorFiles, ids: pa.Array, names: Sequence[Names]) -> tuple[Rows, dict[int, Rows]]:
    """Find the rows of each ID in the first column, and for the first kind of names, in which the ID occurs.

    Returns:
        First row of each ID, or -1, and all rows of each ID that occurs more than once: position of the ID -> rows.
    """
    first = np.full(len(ids), -1, np.int64)
    repeated: dict[int, Rows] = {}
    pairs = [_pair_names(ids, kind) for kind in names]
    for column in files.columns:
        values = files.column(column)
        for wanted, positions in pairs:
            is_open = first[positions] < 0
            if not is_open.any():
                continue
            found = pc.index_in(values, value_set=wanted.filter(pa.array(is_open)))
            rows = np.flatnonzero(found.is_valid().to_numpy())
            owners = positions[is_open][found.drop_null().to_numpy()]
            order = np.lexsort((rows, owners))
            unique, starts, counts = np.unique(owners[order], return_index=True, return_counts=True)
            first[unique] = rows[order][starts]
            for position, start, count in zip(*(part[counts > 1] for part in (unique, starts, counts)), strict=True):
                repeated[int(position)] = rows[order][start : start + count]
    return first, repeated


def _pair_names(ids: pa.Array, names: Names) -> tuple[pa.Array, Rows]:
    """Return names, and the position in `ids` of the image or text with each name."""
    if isinstance(names, Mapping):
        owners = pc.index_in(pa.array(names.values(), ids.type), value_set=ids).to_numpy()
        return pa.array(names, pa.large_string()), owners.astype(np.int64)
    return id_array(names).cast(pa.large_string()), np.arange(len(ids))


def _check_repeated(files: VectorFiles, ids: pa.Array, repeated: Mapping[int, Rows]) -> None:
    """Raise InputError if an ID has several vectors that differ. Otherwise the first vector is used."""
    for position, rows in repeated.items():
        first, *others = files.vectors(rows)
        for row, other in zip(rows[1:].tolist(), others, strict=True):
            if np.array_equal(first, other, equal_nan=True):
                continue
            if not first @ other > _SAME_COSINE * np.linalg.norm(first) * np.linalg.norm(other):
                name = files.column(files.columns[0])[int(rows[0])].as_py() or ids[position].as_py()
                raise InputError(
                    f"{files.locate(int(rows[0]))} and {files.locate(row)}: {name!r} has two different vectors, "
                    "expected one. Remove the vector of another image, text or encoder."
                )
    if repeated:
        logger.info("%s: %d images or texts have the same vector in several rows.", files.path, len(repeated))


def _measure_norms(files: VectorFiles, rows: Rows) -> tuple[Norms, npt.NDArray[np.bool_]]:
    """Measure the norms of vectors.

    Args:
        files: vectors.
        rows: rows to measure, unique and ascending.

    Returns:
        Norm of each vector in the files, or 1 if the vector is not scaled, and whether each vector is valid. Vectors in
        other rows are not valid.
    """
    norms, is_valid = np.ones(len(files), np.float32), np.zeros(len(files), np.bool_)
    for part_rows, vectors in files.read(rows):
        norms[part_rows] = np.linalg.norm(vectors, axis=1)
        is_valid[part_rows] = np.isfinite(norms[part_rows]) & (norms[part_rows] > 0)
    is_scaled = is_valid & (np.abs(norms - 1) > _UNIT_TOLERANCE)
    if is_scaled.any():
        logger.info(
            "%s: %d vectors were scaled to unit norm. Their norms are %.3g to %.3g.",
            files.path,
            is_scaled.sum(),
            norms[is_scaled].min(),
            norms[is_scaled].max(),
        )
    norms[~is_scaled] = 1
    return norms, is_valid


def _stem(path: str) -> str:
    return PurePosixPath(path).name.partition(".")[0].casefold().lstrip("0")


def _stems(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the last part of each path, without suffix, query and leading zeros, in lower case."""
    path = pc.replace_substring_regex(values, r"[?#].*$", "")
    name = pc.replace_substring_regex(path, r"^.*[/\\]", "")
    return pc.utf8_ltrim(pc.utf8_lower(pc.replace_substring_regex(name, r"\..*$", "")), "0")
