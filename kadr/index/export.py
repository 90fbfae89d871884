"""Export the image vectors of an index to files or to a vector store, where other programs can read them."""

from contextlib import closing
from pathlib import Path

import numpy as np

from kadr.errors import SearchError
from kadr.index.index import Index
from kadr.index.stores.stored_index import upload
from kadr.index.stores.vector_store import VectorStore
from kadr.io.vector_files import VectorFormat, VectorTable, write_vector_files
from kadr.params import VECTOR_STORES, StoreParams


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


def export_to_store(index: Index, params: StoreParams) -> int:
    """Upload the vectors of the search encoder and the metadata of all images to a vector store.

    Images that are already in the collection are replaced.

    Args:
        index: index to upload.
        params: backend, address and collection. A collection that does not exist is created.

    Returns:
        Number of images in the collection after the upload.

    Raises:
        ParamsError: the client library of the vector store is not installed.
        StoreError: the vector store cannot be used, or its vectors have another length.
    """
    store: VectorStore = VECTOR_STORES.load(params.backend)(params)
    vectors = index.vectors[index.encoder]
    with store.explain_errors(), closing(store):
        store.create(vectors.dim)
        upload(store, index.table, vectors, np.arange(len(index.table)))
        return store.count()
