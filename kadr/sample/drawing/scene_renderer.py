"""Render a scene: paint the background, draw the objects and shadows from far to near, and add camera effects."""

import numpy as np
from PIL import Image, ImageFilter

from kadr.sample.drawing import animals, outdoor_objects, small_objects
from kadr.sample.drawing.background_canvas import BackgroundCanvas
from kadr.sample.drawing.backgrounds import BACKGROUND_PAINTERS, HORIZON
from kadr.sample.drawing.brush import Brush
from kadr.sample.drawing.camera import simulate_camera
from kadr.sample.scene_graph import SceneGraph, SceneObject
from kadr.sample.scene_vocabulary import COLOURS, OBJECT_CATEGORIES

IMAGE_HEIGHT = 160
IMAGE_WIDTHS = (160, 225)
OBJECT_PAINTERS = {
    "ball": small_objects.ball,
    "tree": outdoor_objects.tree,
    "house": outdoor_objects.house,
    "car": outdoor_objects.car,
    "boat": outdoor_objects.boat,
    "dog": animals.dog,
    "cat": animals.cat,
    "bird": animals.bird,
    "person": animals.person,
    "umbrella": small_objects.umbrella,
    "flower": outdoor_objects.flower,
    "chair": small_objects.chair,
    "kite": small_objects.kite,
    "lamp": small_objects.lamp,
}
_SMALL_SCALE = 0.62
_SHORELINES = {"beach": 0.66, "lake": 0.7}
_BRIGHTNESSES = {"night": 0.82, "room": 0.95}


def render_scene(scene: SceneGraph, rng: np.random.Generator) -> Image.Image:
    """Return the scene as an RGB image, 160 pixels high and 160 to 224 pixels wide."""
    canvas = BackgroundCanvas(int(rng.integers(*IMAGE_WIDTHS)), IMAGE_HEIGHT, rng)
    BACKGROUND_PAINTERS[scene.background](canvas)
    image = Image.fromarray(np.clip(canvas.pixels, 0, 255).astype(np.uint8))
    for scene_object in sorted(scene.objects, key=lambda scene_object: scene_object.depth):
        _place_object(image, scene_object, scene.background, rng)
    return simulate_camera(image, rng)


def _place_object(image: Image.Image, scene_object: SceneObject, background: str, rng: np.random.Generator) -> None:
    scale = 1.0 if scene_object.size == "large" else _SMALL_SCALE
    share = OBJECT_CATEGORIES[scene_object.category].side * scale
    side = round(share * image.height * float(rng.uniform(0.93, 1.07)))
    drawing = render_object(scene_object.category, scene_object.colour, side, rng)
    drawing = _transform(drawing, scene_object, rng, _BRIGHTNESSES.get(background, 1.0))
    baseline = _baseline(scene_object, background, rng) * image.height
    left = round(scene_object.x * image.width - drawing.width / 2)
    left = min(max(left, 1 - drawing.width // 12), image.width - drawing.width + drawing.width // 12)
    top = round(baseline - drawing.height * (0.5 if scene_object.flies else 0.97))
    if not scene_object.flies:
        _add_shadow(image, drawing, left, top, 0.2 if background == "night" else 0.42)
    image.paste(drawing, (left, max(top, -2)), drawing)


def render_object(category: str, colour: str, side: int, rng: np.random.Generator) -> Image.Image:
    """Return a drawing of one object on a transparent square (RGBA). The colour varies slightly at random.

    Args:
        category: Key of `OBJECT_CATEGORIES`.
        colour: Key of `COLOURS`.
        side: Side length of the square in pixels.
        rng: Random number generator.
    """
    brush = Brush(max(side, 16), rng)
    brightness = float(rng.uniform(0.9, 1.06))
    red, green, blue = np.clip(np.multiply(COLOURS[colour], brightness) + rng.uniform(-8, 8, size=3), 0, 255)
    OBJECT_PAINTERS[category](brush, (float(red), float(green), float(blue)))
    return brush.to_image()


def _transform(
    drawing: Image.Image, scene_object: SceneObject, rng: np.random.Generator, brightness: float
) -> Image.Image:
    """Randomly mirror a drawing, rotate it by a small random angle, and multiply its brightness by `brightness`."""
    if rng.random() < 0.5:
        drawing = drawing.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    free_rotation = scene_object.flies or scene_object.category == "ball"
    angle = float(rng.uniform(-12, 12) if free_rotation else rng.uniform(-2, 2))
    drawing = drawing.rotate(angle, Image.Resampling.BILINEAR)
    if brightness == 1.0:
        return drawing
    *bands, alpha = drawing.split()
    return Image.merge("RGBA", [*(band.point(lambda value: value * brightness) for band in bands), alpha])


def _baseline(scene_object: SceneObject, background: str, rng: np.random.Generator) -> float:
    """Return the vertical position of an object, from 0 (top) to 1 (bottom).

    For a flying object, this is the position of the centre. For any other object, this is the position of the bottom
    edge.
    """
    if scene_object.flies:
        return float(rng.uniform(0.2, 0.27))
    if scene_object.category == "boat":
        return _SHORELINES[background] - 0.02
    top = max(_SHORELINES.get(background, 0), HORIZON + 0.12) + 0.02
    return top + (0.97 - top) * scene_object.depth


def _add_shadow(image: Image.Image, drawing: Image.Image, left: int, top: int, strength: float) -> None:
    """Draw a soft, flat shadow at the bottom of the object. The shadow is as wide as the object."""
    flat = drawing.getchannel("A").resize((drawing.width, max(3, drawing.height // 6)))
    soft = Image.new("L", (flat.width + 16, flat.height + 12))
    soft.paste(flat.point(lambda value: value * strength), (8, 6))
    soft = soft.filter(ImageFilter.GaussianBlur(2.5))
    foot = top + round(drawing.height * 0.97)
    dark = Image.new("RGB", soft.size, (12, 12, 24))
    image.paste(dark, (left - 8 + drawing.width // 14, foot - 6 - flat.height * 2 // 3), soft)
