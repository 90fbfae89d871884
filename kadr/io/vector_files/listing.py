"""List the images whose vectors are in a file or folder."""

import logging
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from kadr.io.vector_files.opening import open_vector_files

logger = logging.getLogger(__name__)

_ID_COLUMNS = ("image_id", "id")


def list_vector_images(path: Path) -> dict[str, str]:
    """Return the images with a vector: image ID -> path or URI of the image.

    The ID is the value in the column image_id or id. Files without such a column name the images by paths or URIs. The
    ID of such an image is its path relative to the common folder of all images.

    Raises:
        InputError: the files cannot be read.
    """
    files = open_vector_files(path, "image")
    columns = files.columns
    names = [files.column(name).to_pylist() for name in columns[:2]]
    if n_blank := sum(name is None for name in names[0]):
        logger.warning(
            "%s: %d vectors were ignored, because the column %s is blank in their rows.", path, n_blank, columns[0]
        )
    if columns[0].lower() in _ID_COLUMNS:
        paths = names[1] if len(names) > 1 and columns[1].lower() not in _ID_COLUMNS else names[0]
        return {id_: path or id_ for id_, path in zip(names[0], paths, strict=True) if id_ is not None}
    return {id_: path for path, id_ in relative_paths([name for name in names[0] if name is not None]).items()}


def relative_paths(paths: Iterable[str]) -> dict[str, str]:
    r"""Return the path of each image relative to the common folder of all images.

    >>> relative_paths(["/photos/2024/a.jpg", "/photos/b.jpg"])
    {'/photos/2024/a.jpg': '2024/a.jpg', '/photos/b.jpg': 'b.jpg'}
    """
    parts = {path: PurePosixPath(path.replace("\\", "/")).parts for path in paths}
    n_common = 0
    for level in zip(*(pieces[:-1] for pieces in parts.values()), strict=False):
        if len(set(level)) > 1:
            break
        n_common += 1
    return {path: "/".join(pieces[n_common:]) for path, pieces in parts.items()}
