"""The CLIP of a run: loaded from a hub, copied from a folder, or trained on captioned images and ratings."""

from kadr.clip.source import ClipTables, build_clip

__all__ = ["ClipTables", "build_clip"]
