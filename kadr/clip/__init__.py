"""The clip part: the CLIP of a run, from a hub, from a folder, or trained on own captioned photos."""

from kadr.clip.obtain import obtain_clip

__all__ = ["obtain_clip"]
