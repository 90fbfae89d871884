"""The library room's collections: any folders of photos, looked at, embedded and indexed where they changed."""

from kadr.collection.update import Update, index_photos
from kadr.index.colours import COLOURS

__all__ = ["COLOURS", "Update", "index_photos"]
