"""Join vectors that exist already with images or texts: by ID, by path, or by file name."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kadr.errors import InputError
from kadr.ingest.image_names import resolve_names
from kadr.io.embeddings import Rows, Vectors
from kadr.io.vector_files import VectorFiles

logger = logging.getLogger(__name__)

NO_VECTOR = "no_vector"
"""Status of an image or text that has no vector in the files."""

INVALID_VECTOR = "invalid_vector"
"""Status of an image or text whose vector is zero, or contains NaN or infinity."""

_UNIT_TOLERANCE = 2e-3  # float16 vectors of unit norm have a norm of 1 +- 0.001
_SAME_COSINE = 0.999  # vectors of the same image or text that were computed in different batches
_CHUNK_SIZE = 100_000

Names = Mapping[str, str]
"""Name of an image or text in the files of vectors -> ID of the image or text."""


@dataclass(frozen=True)
class JoinedVectors:
    """Unit vectors of the images or texts that have one.

    Attributes:
        ids: (n,) IDs with a valid vector, in the order of the request.
        vectors: (n, d) float32 unit vectors. A vector that has unit norm in the file is unchanged.
        problems: NO_VECTOR or INVALID_VECTOR for each other ID.
    """

    ids: list[str]
    vectors: Vectors
    problems: dict[str, str]


def join_vectors(
    files: VectorFiles, ids: Sequence[str], names: Sequence[Names], *, only_first: bool = False
) -> JoinedVectors:
    """Find the vector of each ID.

    The columns of the files are tried in their order, from the most to the least specific. The names are compared
    exactly.

    Args:
        files: vectors.
        ids: IDs of the images or texts, unique.
        names: names by which the files can refer to an ID, most specific first.
        only_first: whether to use the first vector of an ID without comparing it with the other vectors of the ID.

    Raises:
        InputError: the files have different vectors for one ID.
    """
    rows_by_id = _find_rows(files, names)
    found = [id_ for id_ in ids if id_ in rows_by_id]
    rows = np.array([rows_by_id[id_][0] for id_ in found], dtype=np.int64)
    if not only_first:
        _check_repeated(files, {id_: rows_by_id[id_] for id_ in found if len(rows_by_id[id_]) > 1})
    vectors, valid = _to_unit_norm(files, rows)
    problems = {id_: NO_VECTOR for id_ in ids if id_ not in rows_by_id}
    problems |= {id_: INVALID_VECTOR for id_, is_valid in zip(found, valid, strict=True) if not is_valid}
    kept = [id_ for id_, is_valid in zip(found, valid, strict=True) if is_valid]
    if ids:
        logger.info("%s: %d of %d images or texts have a vector.", files.path, len(found), len(ids))
    return JoinedVectors(kept, vectors[valid], problems)


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


def _find_rows(files: VectorFiles, names: Sequence[Names]) -> dict[str, list[int]]:
    """Return the rows of each ID in the first column, and for the first kind of names, in which the ID occurs."""
    rows_by_id: dict[str, list[int]] = {}
    for column in files.columns:
        values = files.column(column)
        for ids_by_name in names:
            wanted = {name: id_ for name, id_ in ids_by_name.items() if id_ not in rows_by_id}
            if not wanted:
                continue
            ids = list(wanted.values())
            positions = pc.index_in(values, value_set=pa.array(list(wanted), pa.large_string())).to_numpy()
            added: dict[str, list[int]] = {}
            for row in np.flatnonzero(~np.isnan(positions.astype(float))).tolist():
                added.setdefault(ids[int(positions[row])], []).append(row)
            rows_by_id |= added
    return rows_by_id


def _check_repeated(files: VectorFiles, rows_by_id: Mapping[str, list[int]]) -> None:
    """Raise InputError if an ID has several vectors that differ. Otherwise the first vector is used."""
    for id_, rows in rows_by_id.items():
        first, *others = files.vectors(np.array(rows, np.int64))
        for row, other in zip(rows[1:], others, strict=True):
            if np.array_equal(first, other, equal_nan=True):
                continue
            if not first @ other > _SAME_COSINE * np.linalg.norm(first) * np.linalg.norm(other):
                name = files.column(files.columns[0])[rows[0]].as_py() or id_
                raise InputError(
                    f"{files.locate(rows[0])} and {files.locate(row)}: {name!r} has two different vectors, expected "
                    "one. Remove the vector of another image, text or encoder."
                )
    if rows_by_id:
        logger.info("%s: %d images or texts have the same vector in several rows.", files.path, len(rows_by_id))


def _to_unit_norm(files: VectorFiles, rows: Rows) -> tuple[Vectors, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    """Read vectors and scale them to unit norm. Return the vectors, and whether each vector is valid."""
    vectors = files.vectors(rows)
    norms = np.concatenate(
        [np.linalg.norm(vectors[start : start + _CHUNK_SIZE], axis=1) for start in range(0, len(vectors), _CHUNK_SIZE)]
        or [np.empty(0, np.float32)]
    )
    valid = np.isfinite(norms) & (norms > 0)
    scaled = valid & (np.abs(norms - 1) > _UNIT_TOLERANCE)
    if scaled.any():
        logger.info(
            "%s: %d vectors were scaled to unit norm. Their norms are %.3g to %.3g.",
            files.path,
            scaled.sum(),
            norms[scaled].min(),
            norms[scaled].max(),
        )
        vectors[scaled] /= norms[scaled, None]
    return vectors, valid


def _stem(path: str) -> str:
    return PurePosixPath(path).name.partition(".")[0].casefold().lstrip("0")


def _stems(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the last part of each path, without suffix, query and leading zeros, in lower case."""
    path = pc.replace_substring_regex(values, r"[?#].*$", "")
    name = pc.replace_substring_regex(path, r"^.*[/\\]", "")
    return pc.utf8_ltrim(pc.utf8_lower(pc.replace_substring_regex(name, r"\..*$", "")), "0")
