"""The library room's search index: the vectors and the metadata of a collection of photos, published as one folder."""

from kadr.index.index import Index, build_index
from kadr.index.publish import published

__all__ = ["Index", "build_index", "published"]
