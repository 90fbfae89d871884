"""Drawing a scene with Pillow: brush, things, backgrounds, camera."""

from kadr.sample.drawing.camera import expose
from kadr.sample.drawing.image import draw_photo

__all__ = ["draw_photo", "expose"]
