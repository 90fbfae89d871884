"""Provide the CLIP model of a run: download it, copy it, or train it on captioned images and ratings."""

from kadr.clip.source import ClipTables, build_clip

__all__ = ["ClipTables", "build_clip"]
