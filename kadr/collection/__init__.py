"""The library room's collections: any folders of photos, looked at, embedded and indexed where they changed."""

from kadr.collection.update import Update, index_photos

__all__ = ["Update", "index_photos"]
