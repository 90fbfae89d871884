"""Index folders of images: list, scan and embed the images, and update the index when images change."""

from kadr.collection.update import IndexUpdate, update_index
from kadr.index.colours import COLOURS

__all__ = ["COLOURS", "IndexUpdate", "update_index"]
