"""The clip part: the CLIP of a run, from a hub, from a folder, or trained on own captioned photos and ratings."""

from kadr.clip.source import Tables, obtain_clip

__all__ = ["Tables", "obtain_clip"]
