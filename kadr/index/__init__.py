"""The library room's search index: the vectors and the metadata of a collection of photos, published as one folder."""

from kadr.index.checksums import damaged
from kadr.index.index import Index, build_index
from kadr.index.publish import Versions, published
from kadr.index.vectors import PhotoVectors

__all__ = ["Index", "PhotoVectors", "Versions", "build_index", "damaged", "published"]
