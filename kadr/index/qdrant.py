"""The index's way to a distributed store: vectors and metadata go to Qdrant, for collections past one machine."""

import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from kadr.errors import InputError, SearchError
from kadr.index.index import Index
from kadr.progress import Advance, progress

if TYPE_CHECKING:
    from qdrant_client.models import PointStruct

_AT_ONCE = 256  # photos in a request


def export_to_qdrant(index: Index, address: str, collection: str) -> int:
    """Upload the photos of the index; again, they take the place of those of the same id.

    Args:
        index: what to upload; the vectors are those of its encoder, in half precision, compared by cosine.
        address: the URL of a server (http://host:6333), or a folder for a store in this process.
        collection: its name; made where it is not there.

    Returns:
        How many photos the collection has now.

    Raises:
        InputError: qdrant-client is not installed, or the server does not answer.
        SearchError: the collection holds vectors of another length.
    """
    try:
        from qdrant_client import QdrantClient, models
        from qdrant_client.http.exceptions import ApiException
    except ImportError as error:
        raise InputError("the export needs qdrant-client: pip install 'kadr[qdrant]'") from error

    dim = index.vectors[index.encoder].dim
    try:
        client = (
            QdrantClient(url=address, check_compatibility=False) if "://" in address else QdrantClient(path=address)
        )
        if not client.collection_exists(collection):
            like = models.VectorParams(
                size=dim, distance=models.Distance.COSINE, datatype=models.Datatype.FLOAT16, on_disk=True
            )
            client.create_collection(collection, vectors_config=like)
        vectors = client.get_collection(collection).config.params.vectors
        if not isinstance(vectors, models.VectorParams) or vectors.size != dim:
            raise SearchError(
                f"{address}: collection {collection!r} has other vectors than {dim} numbers; name another"
            )
        with progress("export photos", len(index.photos)) as advance:
            client.upload_points(collection, _points(index, advance), batch_size=_AT_ONCE, wait=True)
        n = client.count(collection).count
        client.close()
    except (ApiException, OSError) as error:
        raise InputError(f"{address}: Qdrant does not answer ({error}); start it, or mend the address") from error
    return n


def _points(index: Index, advance: Advance) -> "Iterator[PointStruct]":
    """Each photo as a point: its vector, and its metadata without what is not known."""
    from qdrant_client.models import PointStruct

    columns = [name for name in index.photos.column_names if name not in ("row", "split")]
    for start in range(0, len(index.photos), _AT_ONCE):
        rows = index.photos.slice(start, _AT_ONCE).select(columns).to_pylist()
        vectors = index.vectors[index.encoder].take(slice(start, start + _AT_ONCE))
        for row, vector in zip(rows, vectors, strict=True):
            payload = {name: _plain(value) for name, value in row.items() if value is not None}
            yield PointStruct(
                id=str(uuid.uuid5(uuid.NAMESPACE_URL, row["image_id"])), vector=vector.tolist(), payload=payload
            )
        advance(len(rows))


def _plain(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value
