"""The library room's search index: the vectors and the metadata of a collection of photos, published as one folder."""

from kadr.index.colours import COLOURS
from kadr.index.index import Index, build_index
from kadr.index.publish import published
from kadr.index.vectors import PhotoVectors

__all__ = ["COLOURS", "Index", "PhotoVectors", "build_index", "published"]
