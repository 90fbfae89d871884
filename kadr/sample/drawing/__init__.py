"""Render scene graphs as images with Pillow."""

from kadr.sample.drawing.camera import scale_brightness
from kadr.sample.drawing.scene_renderer import render_scene

__all__ = ["render_scene", "scale_brightness"]
