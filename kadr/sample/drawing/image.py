"""A scene as a photo: background, things from the far to the near with their shadows, camera."""

import numpy as np
from PIL import Image, ImageFilter

from kadr.sample.drawing import animals, built, objects
from kadr.sample.drawing.backgrounds import HORIZON, PAINTERS
from kadr.sample.drawing.brush import Brush
from kadr.sample.drawing.camera import take
from kadr.sample.drawing.ground import Ground
from kadr.sample.scene import Scene, Thing
from kadr.sample.vocabulary import COLOURS, KINDS

HEIGHT = 160
WIDTHS = (160, 225)
DRAWINGS = {
    "ball": objects.ball,
    "tree": built.tree,
    "house": built.house,
    "car": built.car,
    "boat": built.boat,
    "dog": animals.dog,
    "cat": animals.cat,
    "bird": animals.bird,
    "person": animals.person,
    "umbrella": objects.umbrella,
    "flower": built.flower,
    "chair": objects.chair,
    "kite": objects.kite,
    "lamp": objects.lamp,
}
_SMALL = 0.62
_SHORE = {"beach": 0.66, "lake": 0.7}
_DIM = {"night": 0.82, "room": 0.95}


def draw_photo(scene: Scene, rng: np.random.Generator) -> Image.Image:
    """The scene as an RGB photo, 160 pixels high and 160 to 224 wide."""
    ground = Ground(int(rng.integers(*WIDTHS)), HEIGHT, rng)
    PAINTERS[scene.background](ground)
    picture = Image.fromarray(np.clip(ground.pixels, 0, 255).astype(np.uint8))
    for thing in sorted(scene.things, key=lambda thing: thing.depth):
        _place(picture, thing, scene.background, rng)
    return take(picture, rng)


def _place(picture: Image.Image, thing: Thing, background: str, rng: np.random.Generator) -> None:
    share = KINDS[thing.kind].side * (1.0 if thing.size == "large" else _SMALL)
    side = round(share * picture.height * float(rng.uniform(0.93, 1.07)))
    drawn = draw_thing(thing.kind, thing.colour, side, rng)
    drawn = _turned(drawn, thing, rng, _DIM.get(background, 1.0))
    baseline = _baseline(thing, background, rng) * picture.height
    left = round(thing.x * picture.width - drawn.width / 2)
    left = min(max(left, 1 - drawn.width // 12), picture.width - drawn.width + drawn.width // 12)
    top = round(baseline - drawn.height * (0.5 if thing.flies else 0.97))
    if not thing.flies:
        _shadow(picture, drawn, left, top, 0.2 if background == "night" else 0.42)
    picture.paste(drawn, (left, max(top, -2)), drawn)


def draw_thing(kind: str, colour: str, side: int, rng: np.random.Generator) -> Image.Image:
    """One thing on a clear square (RGBA), its colour varied a little."""
    brush = Brush(max(side, 16), rng)
    light = float(rng.uniform(0.9, 1.06))
    red, green, blue = np.clip(np.multiply(COLOURS[colour], light) + rng.uniform(-8, 8, size=3), 0, 255)
    DRAWINGS[kind](brush, (float(red), float(green), float(blue)))
    return brush.finished()


def _turned(drawn: Image.Image, thing: Thing, rng: np.random.Generator, light: float) -> Image.Image:
    """Mirrored or not, tilted a little, dimmed where the background is dark."""
    if rng.random() < 0.5:
        drawn = drawn.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    tilt = float(rng.uniform(-12, 12) if thing.flies or thing.kind == "ball" else rng.uniform(-2, 2))
    drawn = drawn.rotate(tilt, Image.Resampling.BILINEAR)
    if light == 1.0:
        return drawn
    *colours, alpha = drawn.split()
    return Image.merge("RGBA", [*(band.point(lambda value: value * light) for band in colours), alpha])


def _baseline(thing: Thing, background: str, rng: np.random.Generator) -> float:
    """The height (share of the photo, from the top) of a thing's foot, or of a flying thing's middle."""
    if thing.flies:
        return float(rng.uniform(0.2, 0.27))
    if thing.kind == "boat":
        return _SHORE[background] - 0.02
    top = max(_SHORE.get(background, 0), HORIZON + 0.12) + 0.02
    return top + (0.97 - top) * thing.depth


def _shadow(picture: Image.Image, drawn: Image.Image, left: int, top: int, strength: float) -> None:
    """A soft shadow at the foot, as wide as the thing and flattened."""
    flat = drawn.getchannel("A").resize((drawn.width, max(3, drawn.height // 6)))
    soft = Image.new("L", (flat.width + 16, flat.height + 12))
    soft.paste(flat.point(lambda value: value * strength), (8, 6))
    soft = soft.filter(ImageFilter.GaussianBlur(2.5))
    foot = top + round(drawn.height * 0.97)
    dark = Image.new("RGB", soft.size, (12, 12, 24))
    picture.paste(dark, (left - 8 + drawn.width // 14, foot - 6 - flat.height * 2 // 3), soft)
