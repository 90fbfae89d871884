"""Find the form of a file or folder of vectors, and open it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from kadr.errors import InputError
from kadr.io.vector_files.id_columns import IMAGE_COLUMNS, TEXT_COLUMNS, TEXT_ID_COLUMNS
from kadr.io.vector_files.numpy_files import list_npy, open_npy, part_order
from kadr.io.vector_files.parquet_files import open_parquet
from kadr.io.vector_files.safetensors_files import open_safetensors
from kadr.io.vector_files.vector_file import VectorFile, VectorFiles

VectorKind = Literal["image", "text"]
"""Whether the vectors belong to images or to texts."""

_PARTS = {"image": "img_emb", "text": "text_emb"}
"""Names of the folders that clip-retrieval writes."""

_FORMS = (
    "a folder that clip-retrieval wrote, a .npy file with IDs, a .parquet file, a .safetensors file, or a folder of "
    "such files"
)


def open_vector_files(
    path: Path, kind: VectorKind, *, id_column: str | None = None, vector_column: str | None = None
) -> VectorFiles:
    """Open the vectors of images or texts in a file, or in all files of a folder.

    Args:
        path: file or folder.
        kind: whether the vectors belong to images or to texts.
        id_column: name of the column that identifies the vectors. None finds the column by its name.
        vector_column: name of the column of vectors in a Parquet file. None finds the column by its type and name.

    Raises:
        InputError: the path does not exist, a file is damaged, or the IDs of the vectors are missing.
    """
    known = IMAGE_COLUMNS if kind == "image" else (*TEXT_ID_COLUMNS, *TEXT_COLUMNS)
    wanted: Sequence[str] = (id_column,) if id_column else known
    files = [_open(file, wanted, vector_column) for file in _list_files(path, kind)]
    if not sum(file.n for file in files):
        raise InputError(f"{path}: the file or folder contains no vectors, expected {_FORMS}. Correct the path.")
    return VectorFiles(path, [file for file in files if file.n])


def _open(path: Path, wanted: Sequence[str], vector_column: str | None) -> VectorFile:
    if path.suffix.lower() == ".npy":
        return open_npy(path, wanted)
    if path.suffix.lower() == ".safetensors":
        return open_safetensors(path, wanted)
    return open_parquet(path, wanted, vector_column)


def _list_files(path: Path, kind: VectorKind) -> list[Path]:
    """Return the files of vectors, in the order of their parts."""
    if path.is_file() and path.suffix.lower() in (".npy", ".parquet", ".safetensors"):
        return [path]
    if not path.is_dir():
        state = "is not a file of vectors" if path.is_file() else "does not exist"
        raise InputError(f"{path} {state}, expected {_FORMS}. Correct the path.")
    folders = [path / part for part in _PARTS.values() if (path / part).is_dir()]
    if folders and path / _PARTS[kind] not in folders:
        raise InputError(
            f"{path}: the folder {_PARTS[kind]} with the vectors of the {kind}s is missing. Correct the path, or run "
            f"clip-retrieval again with enable_{kind}."
        )
    folder = path / _PARTS[kind] if folders else path
    if files := list_npy(folder):
        own = [file for file in files if not file.stem.startswith(tuple(set(_PARTS.values()) - {_PARTS[kind]}))]
        return own or files
    for suffix in (".parquet", ".safetensors"):
        if files := sorted((file for file in folder.glob(f"*{suffix}")), key=part_order):
            return files
    raise InputError(f"{folder}: the folder contains no vectors, expected {_FORMS}. Correct the path.")
