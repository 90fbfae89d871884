"""List the images whose vectors are in a file or folder."""

import logging
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kadr.io.vector_files.opening import open_vector_files

logger = logging.getLogger(__name__)

_ID_COLUMNS = ("image_id", "id")
_CHUNK_SIZE = 100_000  # number of paths that are Python strings at once


def list_vector_images(path: Path) -> pa.Table:
    """Return the images with a vector: the columns image_id, without repetitions, and path.

    The ID is the value in the column image_id or id. Files without such a column name the images by paths or URIs. The
    ID of such an image is its path relative to the common folder of all images.

    Raises:
        InputError: the files cannot be read.
    """
    files = open_vector_files(path, "image")
    columns = files.columns
    names = [files.column(name).combine_chunks() for name in columns[:2]]
    is_named = names[0].is_valid()
    if names[0].null_count:
        logger.warning(
            "%s: %d vectors were ignored, because the column %s is blank in their rows.",
            path,
            names[0].null_count,
            columns[0],
        )
        names = [values.filter(is_named) for values in names]
    if columns[0].lower() not in _ID_COLUMNS:
        paths = names[0].unique()
        return _drop_repeated(relative_paths(paths), paths)
    has_paths = len(names) > 1 and columns[1].lower() not in _ID_COLUMNS
    paths = pc.coalesce(names[1], names[0]) if has_paths else names[0]
    return _drop_repeated(names[0], paths)


def relative_paths(paths: pa.Array) -> pa.Array:
    r"""Return the path of each image relative to the common folder of all images.

    >>> relative_paths(pa.array(["/photos/2024/a.jpg", "/photos/b.jpg"])).to_pylist()
    ['2024/a.jpg', 'b.jpg']
    """
    common: tuple[str, ...] | None = None
    for parts in _split(paths):
        folders = parts[:-1]
        if common is None:
            common = folders
        elif folders[: len(common)] != common:
            pairs = zip(common, folders, strict=False)
            common = common[: next((i for i, pair in enumerate(pairs) if pair[0] != pair[1]), len(folders))]
    n_common = len(common or ())
    relative = ("/".join(parts[n_common:]) for parts in _split(paths))
    return pa.array(relative, pa.large_string(), size=len(paths))


def _split(paths: pa.Array) -> Iterator[tuple[str, ...]]:
    """Yield the parts of each path."""
    for start in range(0, len(paths), _CHUNK_SIZE):
        for path in paths.slice(start, _CHUNK_SIZE).to_pylist():
            yield PurePosixPath(path.replace("\\", "/")).parts


def _drop_repeated(ids: pa.Array, paths: pa.Array) -> pa.Table:
    """Return a table of IDs and paths with one row per ID: the place of its first path, and its last path."""
    unique = ids.unique()
    if len(unique) < len(ids):
        last = np.empty(len(unique), np.int64)
        last[pc.index_in(ids, value_set=unique).to_numpy()] = np.arange(len(ids))
        paths = paths.take(pa.array(last))
    return pa.table({"image_id": unique, "path": paths})
