"""Index image folders: list, scan and embed their images, and update only what has changed."""

from kadr.collection.update import IndexUpdate, update_index
from kadr.index.colours import COLOURS

__all__ = ["COLOURS", "IndexUpdate", "update_index"]
