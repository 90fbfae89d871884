"""The search index: a folder with the vectors and metadata of an image collection."""

from kadr.index.checksums import damaged_files
from kadr.index.image_vectors import ImageVectors
from kadr.index.index import DESCRIPTION, Index, build_index
from kadr.index.indexing_state import IndexingState, read_indexing_state
from kadr.index.text_index import TextIndex, TextMatches, find_words
from kadr.io.versions import Versions, publish_folder

__all__ = [
    "DESCRIPTION",
    "ImageVectors",
    "Index",
    "IndexingState",
    "TextIndex",
    "TextMatches",
    "Versions",
    "build_index",
    "damaged_files",
    "find_words",
    "publish_folder",
    "read_indexing_state",
]
