"""The search index: a folder with the vectors and metadata of an image collection."""

from kadr.index.checksums import damaged_files
from kadr.index.image_vectors import ImageVectors
from kadr.index.index import Index, build_index
from kadr.io.versions import Versions, publish_folder

__all__ = ["ImageVectors", "Index", "Versions", "build_index", "damaged_files", "publish_folder"]
