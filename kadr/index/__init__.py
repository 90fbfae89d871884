"""The library room's search index: the vectors and the metadata of a collection of photos, published as one folder."""

from kadr.index.checksums import damaged
from kadr.index.index import Index, build_index
from kadr.index.vectors import PhotoVectors
from kadr.io.versions import Versions, published

__all__ = ["Index", "PhotoVectors", "Versions", "build_index", "damaged", "published"]
