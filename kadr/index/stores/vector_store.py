"""The interface of a vector store."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

from kadr.errors import StoreError
from kadr.io.embeddings import Vectors
from kadr.params import StoreParams

BATCH_SIZE = 1024
"""Number of images in a batch of an upload or of a deletion."""

MIN_DEPTH = 128
"""Minimum number of candidates. A power of two, so that all pages of a query have the same candidates."""


@dataclass(frozen=True)
class ImageBatch:
    """A batch of images to upload.

    Attributes:
        ids: (n,) image IDs.
        vectors: (n, d) float32 unit vectors.
        metadata: (n,) metadata of the images, as JSON objects.
    """

    ids: Sequence[str]
    vectors: Vectors
    metadata: Sequence[Mapping[str, Any]]


class VectorStore(ABC):
    """A collection of image vectors in a database.

    An image is identified by its ID, so that all versions of an index can use the same collection. The connection is
    opened by the first call that needs it.

    Args:
        params: backend, address and collection.
    """

    efforts: ClassVar[Sequence[int]]
    """Possible values of the search effort, ascending. A higher effort has a higher recall and takes longer."""

    errors: ClassVar[tuple[type[Exception], ...]]
    """Exceptions that the client library raises if the database cannot be used."""

    def __init__(self, params: StoreParams) -> None:
        self.params = params
        self.address = params.address or ""
        self.collection = params.collection or "kadr"

    @abstractmethod
    def create(self, dim: int) -> None:
        """Create the collection for vectors of length `dim`, unless it exists.

        Raises:
            StoreError: the vectors in the collection have another length.
        """

    @abstractmethod
    def upload(self, batches: Iterable[ImageBatch]) -> None:
        """Add images to the collection. Images that it already contains are replaced."""

    @abstractmethod
    def delete(self, ids: Sequence[str]) -> None:
        """Delete images from the collection. Unknown IDs are ignored."""

    @abstractmethod
    def optimise(self) -> None:
        """Build the vector index of the collection, or extend it to all images, and wait until it is complete."""

    @abstractmethod
    def count(self) -> int:
        """Return the number of images in the collection."""

    @abstractmethod
    def list_ids(self) -> Iterator[str]:
        """Yield the IDs of all images in the collection, in any order."""

    @abstractmethod
    def nearest(self, queries: Vectors, k: int, effort: int) -> list[list[str]]:
        """Return the IDs of the images nearest to each query.

        Args:
            queries: (q, d) float32 unit vectors.
            k: maximum number of images per query.
            effort: search effort, one of `efforts`.
        """

    def close(self) -> None:
        """Close the connection. The next call opens a new one."""
        client = self.__dict__.pop("_client", None)
        if client is not None:
            client.close()

    @contextmanager
    def explain_errors(self) -> Iterator[None]:
        """Convert an error of the client library in the `with` block to a StoreError."""
        try:
            yield
        except self.errors as error:
            raise StoreError(
                f"{self.address}, collection {self.collection}: the vector store {self.params.backend} cannot be used "
                f"({' '.join(str(error).split()) or type(error).__name__}). Start the server, or correct the address."
            ) from error

    def check_dim(self, dim: int, found: int | None) -> None:
        """Raise StoreError if the collection contains vectors of another length, or None if it contains others."""
        if found != dim:
            raise StoreError(
                f"{self.address}: the collection {self.collection} has vectors of length {found or 'unknown'}, "
                f"expected {dim}. Use another collection, or drop this collection."
            )
