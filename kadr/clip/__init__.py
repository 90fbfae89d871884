"""Download or copy a CLIP model, or train a CLIP model on captioned images and ratings."""

from kadr.clip.source import ClipTables, build_clip

__all__ = ["ClipTables", "build_clip"]
