"""Export an index to Qdrant, a distributed vector database."""

import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from kadr.errors import InputError, SearchError
from kadr.index.index import Index
from kadr.progress import Advance, progress

if TYPE_CHECKING:
    from qdrant_client.models import PointStruct

_BATCH_SIZE = 256


def export_to_qdrant(index: Index, address: str, collection: str) -> int:
    """Upload the vectors and metadata of all images in an index.

    Images that are already in the collection are replaced.

    Args:
        index: index to upload. Only the vectors of its search encoder are uploaded, in half precision.
        address: URL of a Qdrant server, e.g. http://host:6333, or a folder for a local database.
        collection: name of the Qdrant collection. A collection that does not exist is created.

    Returns:
        Number of images in the collection after the upload.

    Raises:
        InputError: qdrant-client is not installed, or the server does not respond.
        SearchError: the vectors in the collection and the vectors in the index differ in length.
    """
    try:
        from qdrant_client import QdrantClient, models
        from qdrant_client.http.exceptions import ApiException
    except ImportError as error:
        raise InputError(
            "The export requires qdrant-client, which is not installed. Install it: pip install 'kadr[qdrant]'"
        ) from error

    dim = index.vectors[index.encoder].dim
    try:
        client = (
            QdrantClient(url=address, check_compatibility=False) if "://" in address else QdrantClient(path=address)
        )
        if not client.collection_exists(collection):
            config = models.VectorParams(
                size=dim, distance=models.Distance.COSINE, datatype=models.Datatype.FLOAT16, on_disk=True
            )
            client.create_collection(collection, vectors_config=config)
        vectors = client.get_collection(collection).config.params.vectors
        if not isinstance(vectors, models.VectorParams) or vectors.size != dim:
            raise SearchError(
                f"The collection {collection!r} at {address} does not accept vectors of length {dim}. Use another "
                "collection."
            )
        with progress("export images", len(index.table)) as advance:
            client.upload_points(collection, _points(index, advance), batch_size=_BATCH_SIZE, wait=True)
        n_images = client.count(collection).count
        client.close()
    except (ApiException, OSError) as error:
        raise InputError(
            f"{address}: Qdrant does not respond ({error}). Start the server, or correct the address."
        ) from error
    return n_images


def _points(index: Index, advance: Advance) -> "Iterator[PointStruct]":
    """Yield one Qdrant point per image, with its vector and all metadata that is not null."""
    from qdrant_client.models import PointStruct

    columns = [name for name in index.table.column_names if name not in ("row", "split", "signature")]
    for start in range(0, len(index.table), _BATCH_SIZE):
        rows = index.table.slice(start, _BATCH_SIZE).select(columns).to_pylist()
        vectors = index.vectors[index.encoder].take(slice(start, start + _BATCH_SIZE))
        for row, vector in zip(rows, vectors, strict=True):
            payload = {name: _to_json(value) for name, value in row.items() if value is not None}
            id_ = str(uuid.uuid5(uuid.NAMESPACE_URL, row["image_id"]))
            yield PointStruct(id=id_, vector=vector.tolist(), payload=payload)
        advance(len(rows))


def _to_json(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value
