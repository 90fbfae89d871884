"""Drawings of buildings, vehicles and plants: house, car, boat, tree, flower."""

import numpy as np

from kadr.sample.drawing.brush import Brush, adjust_brightness
from kadr.sample.scene_vocabulary import RGB

_GLASS: RGB = (150, 190, 214)
_DARK: RGB = (28, 28, 30)
_WOOD: RGB = (104, 68, 40)
_ROOFS: tuple[RGB, ...] = ((110, 58, 48), (84, 84, 92), (90, 70, 56))
_LEAF: RGB = (58, 128, 50)


def house(brush: Brush, colour: RGB) -> None:
    """Draw a house from the front, with a gable roof, a chimney, a door and windows."""
    roof = _ROOFS[int(brush.rng.integers(len(_ROOFS)))]
    brush.polygon([(0.68, 0.1), (0.79, 0.1), (0.79, 0.38), (0.68, 0.32)], (140, 80, 66), relief=0.02)
    brush.polygon([(0.12, 0.4), (0.88, 0.4), (0.88, 0.97), (0.12, 0.97)], colour, relief=0.03, grain=0.07)
    brush.polygon([(0.14, 0.41), (0.5, 0.08), (0.86, 0.41)], adjust_brightness(colour, 0.92), relief=0.03)
    brush.polygon([(0.02, 0.46), (0.5, 0.03), (0.5, 0.13), (0.07, 0.52)], roof, relief=0.03)
    brush.polygon([(0.98, 0.46), (0.5, 0.03), (0.5, 0.13), (0.93, 0.52)], adjust_brightness(roof, 0.75), relief=0.03)
    brush.polygon([(0.42, 0.66), (0.58, 0.66), (0.58, 0.97), (0.42, 0.97)], _WOOD, relief=0.02)
    brush.ellipse((0.55, 0.82), (0.013, 0.013), (230, 200, 90), relief=0.01)
    for left in (0.19, 0.65):
        _window(brush, left, 0.6, 0.16)
    brush.ellipse((0.5, 0.32), (0.065, 0.065), (235, 235, 230), relief=0.01)
    brush.ellipse((0.5, 0.32), (0.048, 0.048), _GLASS, relief=0.02)


def _window(brush: Brush, left: float, top: float, side: float) -> None:
    right, bottom = left + side, top + side
    brush.polygon([(left, top), (right, top), (right, bottom), (left, bottom)], (238, 238, 232), relief=0.01)
    rim = 0.02
    left, top, right, bottom = left + rim, top + rim, right - rim, bottom - rim
    brush.polygon([(left, top), (right, top), (right, bottom), (left, bottom)], _GLASS, relief=0.03)
    middle = ((left + right) / 2, (top + bottom) / 2)
    brush.stroke([(middle[0], top), (middle[0], bottom)], 0.014, (238, 238, 232))
    brush.stroke([(left, middle[1]), (right, middle[1])], 0.014, (238, 238, 232))


def car(brush: Brush, colour: RGB) -> None:
    """Draw a car from the side, with two windows, two wheels and lights."""
    cabin = [(0.2, 0.62), (0.3, 0.43), (0.64, 0.43), (0.78, 0.62)]
    body = [
        (0.02, 0.66),
        (0.06, 0.62),
        (0.2, 0.6),
        (0.78, 0.6),
        (0.93, 0.65),
        (0.985, 0.72),
        (0.985, 0.84),
        (0.02, 0.84),
    ]
    brush.polygon(cabin, colour, relief=0.04)
    brush.polygon([(0.25, 0.61), (0.325, 0.47), (0.455, 0.47), (0.455, 0.61)], _GLASS, relief=0.03)
    brush.polygon([(0.49, 0.61), (0.49, 0.47), (0.625, 0.47), (0.715, 0.61)], _GLASS, relief=0.03)
    brush.polygon(body, colour, relief=0.06, grain=0.02)
    brush.stroke([(0.03, 0.825), (0.97, 0.825)], 0.025, adjust_brightness(colour, 0.45))
    brush.stroke([(0.47, 0.62), (0.47, 0.8)], 0.008, adjust_brightness(colour, 0.5))
    brush.stroke([(0.51, 0.67), (0.56, 0.67)], 0.014, (200, 200, 200))
    brush.ellipse((0.955, 0.71), (0.03, 0.03), (255, 240, 170), relief=0.01)
    brush.ellipse((0.035, 0.7), (0.02, 0.03), (220, 40, 40), relief=0.01)
    for x in (0.24, 0.76):
        brush.ellipse((x, 0.84), (0.115, 0.115), _DARK)
        brush.ellipse((x, 0.84), (0.06, 0.06), (186, 186, 190), relief=0.03)
        brush.ellipse((x, 0.84), (0.02, 0.02), (80, 80, 84), relief=0.01)


def boat(brush: Brush, colour: RGB) -> None:
    """Draw a sailing boat with a coloured hull, a mast and two white sails."""
    sail = (236, 232, 220)
    brush.stroke([(0.47, 0.04), (0.47, 0.8)], 0.024, _WOOD)
    brush.polygon([(0.5, 0.06), (0.62, 0.3), (0.88, 0.68), (0.5, 0.7)], sail, relief=0.08)
    brush.polygon([(0.44, 0.14), (0.3, 0.42), (0.14, 0.68), (0.44, 0.7)], adjust_brightness(sail, 0.92), relief=0.08)
    brush.polygon([(0.03, 0.74), (0.97, 0.74), (0.84, 0.96), (0.18, 0.96)], colour, relief=0.06)
    brush.stroke([(0.05, 0.755), (0.95, 0.755)], 0.03, adjust_brightness(colour, 1.4))


def tree(brush: Brush, colour: RGB) -> None:
    """Draw a tree with a trunk and a round crown."""
    rng = brush.rng
    brush.polygon(
        [(0.44, 0.97), (0.46, 0.5), (0.54, 0.5), (0.56, 0.97), (0.62, 0.98), (0.38, 0.98)], _WOOD, relief=0.03
    )
    brush.stroke([(0.5, 0.66), (0.34, 0.48)], 0.035, _WOOD)
    brush.stroke([(0.5, 0.62), (0.66, 0.46)], 0.035, _WOOD)
    for turn in np.linspace(0, 2 * np.pi, 9, endpoint=False):
        angle = float(turn + rng.uniform(-0.2, 0.2))
        middle = (0.5 + 0.24 * float(np.cos(angle)), 0.34 + 0.17 * float(np.sin(angle)))
        radius = float(rng.uniform(0.13, 0.17))
        leaves = adjust_brightness(colour, float(rng.uniform(0.78, 1.0)))
        brush.ellipse(middle, (radius, radius), leaves, relief=0.05, grain=0.16)
    brush.ellipse((0.47, 0.3), (0.2, 0.17), colour, relief=0.07, grain=0.18)


def flower(brush: Brush, colour: RGB) -> None:
    """Draw a flower with a stem, two leaves and a ring of petals."""
    sway = float(brush.rng.uniform(-0.04, 0.04))
    count = int(brush.rng.integers(6, 9))
    brush.stroke([(0.5, 0.34), (0.5 + sway, 0.66), (0.5, 0.97)], 0.04, _LEAF)
    brush.polygon([(0.5, 0.88), (0.6, 0.7), (0.82, 0.64), (0.72, 0.8)], _LEAF, relief=0.04)
    brush.polygon([(0.5, 0.92), (0.4, 0.76), (0.18, 0.72), (0.28, 0.86)], adjust_brightness(_LEAF, 0.85), relief=0.04)
    for turn in np.linspace(0, 2 * np.pi, count, endpoint=False):
        middle = (0.5 + 0.185 * float(np.cos(turn)), 0.31 + 0.185 * float(np.sin(turn)))
        brush.ellipse(middle, (0.115, 0.115), colour, relief=0.05)
    heart = (250, 205, 50) if colour[2] > 60 or colour[1] < 120 else (120, 72, 30)
    brush.ellipse((0.5, 0.31), (0.1, 0.1), heart, relief=0.04, grain=0.14)
