"""Export the image vectors of an index to files that other programs, and the backend `precomputed`, can read."""

from pathlib import Path

from kadr.errors import SearchError
from kadr.index.index import Index
from kadr.io.vector_files import VectorFormat, VectorTable, write_vector_files


def export_to_files(index: Index, path: Path, form: VectorFormat, encoder: str | None = None) -> int:
    """Write the image vectors of one encoder, with the IDs and paths of the images. An existing export is replaced.

    Args:
        index: index to export. Its vectors are in half precision.
        path: file to write, or folder for the form clip-retrieval.
        form: form of the file or folder.
        encoder: name of the image encoder. None exports the vectors of the search encoder.

    Returns:
        Number of exported images.

    Raises:
        SearchError: the index has no vectors of this encoder.
        InputError: the path is occupied, or the IDs are too long for the form.
    """
    name = encoder or index.encoder
    if name not in index.vectors:
        raise SearchError(f"The index has no vectors of the encoder {name!r}. Use one of {', '.join(index.vectors)}.")
    vectors = index.vectors[name]
    table = VectorTable(index.table["image_id"], index.table["path"], vectors.values, vectors.metadata)
    write_vector_files(path, form, table)
    return len(index.table)
