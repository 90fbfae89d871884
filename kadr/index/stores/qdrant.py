"""Vectors in Qdrant, a distributed vector database."""

import os
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import ApiException

from kadr.index.stores.vector_store import ImageBatch, VectorStore
from kadr.io.embeddings import Vectors

_UPLOAD_SIZE = 256  # number of points in a request
_PAGE_SIZE = 10_000  # number of points in a page of the list of IDs
_TIMEOUT_S = 60
_POLL_INTERVAL_S = 0.5


class QdrantStore(VectorStore):
    """A Qdrant collection.

    The address is the URL of a server, or a folder for the local mode of the client, which compares a query with every
    vector. The environment variable QDRANT_API_KEY contains the API key of the server. The search effort is `hnsw_ef`
    (Malkov and Yashunin 2018).
    """

    efforts = (128, 256, 512, 1024)
    errors = (ApiException, OSError, RuntimeError, ValueError)

    @cached_property
    def _client(self) -> QdrantClient:
        if "://" not in self.address:
            return QdrantClient(path=self.address)
        key = os.environ.get("QDRANT_API_KEY")
        return QdrantClient(url=self.address, api_key=key, timeout=_TIMEOUT_S, check_compatibility=False)

    def create(self, dim: int) -> None:
        """Create the collection. The vectors are stored in half precision, in memory-mapped files."""
        if not self._client.collection_exists(self.collection):
            config = models.VectorParams(
                size=dim, distance=models.Distance.COSINE, datatype=models.Datatype.FLOAT16, on_disk=True
            )
            self._client.create_collection(self.collection, vectors_config=config)
        vectors = self._client.get_collection(self.collection).config.params.vectors
        self.check_dim(dim, vectors.size if isinstance(vectors, models.VectorParams) else None)

    def upload(self, batches: Iterable[ImageBatch]) -> None:
        """Add images to the collection. The payload of a point is the image ID and the metadata."""
        self._client.upload_points(self.collection, _points(batches), batch_size=_UPLOAD_SIZE, wait=True)

    def delete(self, ids: Sequence[str]) -> None:
        """Delete images from the collection."""
        selector = models.PointIdsList(points=[_point_id(image_id) for image_id in ids])
        self._client.delete(self.collection, points_selector=selector, wait=True)

    def optimise(self) -> None:
        """Wait until Qdrant has built the HNSW graphs."""
        while self._client.get_collection(self.collection).status == models.CollectionStatus.YELLOW:
            time.sleep(_POLL_INTERVAL_S)

    def count(self) -> int:
        """Return the number of points."""
        return self._client.count(self.collection).count

    def list_ids(self) -> Iterator[str]:
        """Yield the image IDs of all points. A point without an image ID is identified by its point ID."""
        offset = None
        while True:
            points, offset = self._client.scroll(
                self.collection, limit=_PAGE_SIZE, offset=offset, with_payload=["image_id"]
            )
            for point in points:
                yield str((point.payload or {}).get("image_id", point.id))
            if offset is None:
                return

    def nearest(self, queries: Vectors, k: int, effort: int) -> list[list[str]]:
        """Search for all queries in one request."""
        requests = [
            models.QueryRequest(
                query=query.tolist(),
                limit=k,
                with_payload=["image_id"],
                params=models.SearchParams(hnsw_ef=max(effort, k)),
            )
            for query in queries
        ]
        responses = self._client.query_batch_points(self.collection, requests)
        return [
            [point.payload["image_id"] for point in response.points if point.payload and "image_id" in point.payload]
            for response in responses
        ]


def _points(batches: Iterable[ImageBatch]) -> Iterator[models.PointStruct]:
    for batch in batches:
        for image_id, vector, document in zip(batch.ids, batch.vectors, batch.metadata, strict=True):
            yield models.PointStruct(
                id=_point_id(image_id), vector=vector.tolist(), payload={"image_id": image_id, **document}
            )


def _point_id(image_id: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, image_id))
