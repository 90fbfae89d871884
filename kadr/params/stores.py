"""Settings of the vector store of an index."""

import re
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from kadr.params.base import Section
from kadr.registry import Registry

VECTOR_STORES: Registry[Any] = Registry("kadr.vector_stores", "index.store.backend")
"""Registry of the vector stores, by backend name."""

FAISS = "faiss"
"""Name of the backend that stores the vectors in a file in the folder of the index."""


def _registered_store(name: str) -> str:
    return VECTOR_STORES.check(name)


def _public_address(address: str) -> str:
    """Return a URL, or the absolute path of a local folder. Raise ValueError if the URL contains a password."""
    if "://" not in address:
        return str(Path(address).expanduser().absolute())
    if urlsplit(address).password:
        raise ValueError(
            "the address contains a password, which would be written to index.json. Remove it, and put the password in "
            "an environment variable. See docs/stores.md"
        )
    return address


class StoreParams(Section):
    """Vector store of the search encoder."""

    backend: Annotated[str, AfterValidator(_registered_store)] = Field(
        FAISS, description="Vector store: faiss (file in the index) | qdrant | pgvector | lancedb. See docs/stores.md."
    )
    address: Annotated[str, AfterValidator(_public_address)] | None = Field(
        None, description="URL of the server without a password, or a local folder. null for faiss."
    )
    collection: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_-]{0,47}$")] | None = Field(
        None, description="Name of the collection or table, one per index. null for kadr_ and the name of the index."
    )

    @model_validator(mode="after")
    def _check_address(self) -> Self:
        if (self.backend == FAISS) != (self.address is None):
            needed = "needs no address. Set index.store.address: null" if self.address else "needs an address"
            raise ValueError(f"the vector store {self.backend} {needed}. See docs/stores.md")
        return self

    def for_index(self, folder: Path) -> "StoreParams | None":
        """Return the settings with the name of the collection, or None for faiss.

        Args:
            folder: folder of the index. Its name is part of the default name of the collection.
        """
        if self.backend == FAISS:
            return None
        default = f"kadr_{re.sub('[^A-Za-z0-9_-]', '_', folder.name)}"[:48]
        return self.model_copy(update={"collection": self.collection or default})
