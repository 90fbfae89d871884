"""Drawings of small objects: ball, umbrella, chair, kite, lamp."""

from itertools import pairwise

import numpy as np

from kadr.sample.drawing.brush import Brush, Point, adjust_brightness
from kadr.sample.scene_vocabulary import RGB

_WOOD: RGB = (110, 74, 44)
_STEEL: RGB = (96, 96, 104)


def ball(brush: Brush, colour: RGB) -> None:
    """Draw a ball with darker seams and a highlight."""
    brush.ellipse((0.5, 0.52), (0.45, 0.45), colour, relief=0.2, grain=0.02)
    seam = adjust_brightness(colour, 0.62) if sum(colour) > 200 else (90, 90, 96)
    turn = float(brush.rng.uniform(0, np.pi))
    across, up = float(np.cos(turn)), float(np.sin(turn))
    for bulge in (-0.3, 0.0, 0.3):
        arc = [(bulge * float(np.cos(t)), 0.43 * float(np.sin(t))) for t in np.linspace(-1.4, 1.4, 9)]
        brush.stroke([(0.5 + x * across - y * up, 0.52 + x * up + y * across) for x, y in arc], 0.022, seam)
    brush.ellipse((0.36, 0.34), (0.08, 0.06), adjust_brightness(colour, 1.6), relief=0.04, grain=0.0)


def umbrella(brush: Brush, colour: RGB) -> None:
    """Draw an open umbrella with a ribbed canopy, a stick and a hooked handle."""
    brush.stroke([(0.5, 0.06), (0.5, 0.9)], 0.026, _STEEL)
    brush.stroke([(0.5, 0.88), (0.52, 0.95), (0.58, 0.95), (0.61, 0.89)], 0.034, _WOOD)
    rims = np.linspace(0.02, 0.98, 6)
    for number, (left, right) in enumerate(pairwise(rims)):
        panel: list[Point] = [(0.5, 0.09)]
        panel += [_canopy_point(float(left), share) for share in (0.35, 0.7, 1.0)]
        panel.append(((float(left) + float(right)) / 2, 0.475))
        panel += [_canopy_point(float(right), share) for share in (1.0, 0.7, 0.35)]
        brush.polygon(panel, adjust_brightness(colour, 1.0 if number % 2 == 0 else 0.82), relief=0.06, grain=0.03)


def _canopy_point(rim: float, share: float) -> Point:
    """Return a point on a curved rib of the canopy.

    The point is the top if `share` is 0 and the rim if `share` is 1.
    """
    turn = share * np.pi / 2
    return 0.5 + (rim - 0.5) * float(np.sin(turn)), 0.09 + 0.44 * (1 - float(np.cos(turn)))


def chair(brush: Brush, colour: RGB) -> None:
    """Draw a chair at an angle, with a slatted back, a seat and four legs."""
    far = adjust_brightness(colour, 0.7)
    for leg in ([(0.36, 0.56), (0.36, 0.86)], [(0.8, 0.56), (0.8, 0.86)]):
        brush.stroke(leg, 0.055, far)
    for post in ([(0.2, 0.06), (0.2, 0.96)], [(0.36, 0.04), (0.36, 0.56)]):
        brush.stroke(post, 0.06, colour)
    for top in (0.1, 0.22, 0.34):
        slat = [(0.2, top), (0.36, top - 0.02), (0.36, top + 0.05), (0.2, top + 0.07)]
        brush.polygon(slat, far, relief=0.02)
    brush.polygon([(0.17, 0.58), (0.36, 0.5), (0.86, 0.5), (0.72, 0.58)], adjust_brightness(colour, 1.1), relief=0.03)
    brush.polygon([(0.17, 0.58), (0.72, 0.58), (0.72, 0.65), (0.17, 0.65)], colour, relief=0.03)
    brush.polygon([(0.72, 0.58), (0.86, 0.5), (0.86, 0.57), (0.72, 0.65)], far, relief=0.02)
    brush.stroke([(0.69, 0.62), (0.69, 0.96)], 0.06, colour)


def kite(brush: Brush, colour: RGB) -> None:
    """Draw a diamond-shaped kite with crossed sticks and a tail of bows."""
    top, left, right, bottom = (0.62, 0.02), (0.3, 0.3), (0.94, 0.3), (0.56, 0.74)
    heart = (0.6, 0.29)
    tail: list[Point] = [bottom, (0.42, 0.84), (0.26, 0.8), (0.1, 0.94)]
    brush.stroke(tail, 0.014, (90, 80, 70))
    for x, y in ((0.43, 0.835), (0.3, 0.81), (0.15, 0.895)):
        brush.polygon([(x - 0.06, y - 0.04), (x, y), (x - 0.06, y + 0.04)], colour, relief=0.02)
        brush.polygon([(x + 0.06, y - 0.04), (x, y), (x + 0.06, y + 0.04)], colour, relief=0.02)
    shades = (1.0, 0.8, 1.0, 0.8)
    panes = ((top, left), (left, bottom), (bottom, right), (right, top))
    for shade, (start, end) in zip(shades, panes, strict=True):
        brush.polygon([heart, start, end], adjust_brightness(colour, shade), relief=0.04, grain=0.03)
    brush.stroke([top, bottom], 0.014, _WOOD)
    brush.stroke([left, right], 0.014, _WOOD)


def lamp(brush: Brush, colour: RGB) -> None:
    """Draw a floor lamp with a round foot, a pole, a bulb and a translucent shade."""
    brush.ellipse((0.5, 0.94), (0.19, 0.04), _STEEL, relief=0.03)
    brush.stroke([(0.5, 0.36), (0.5, 0.93)], 0.038, _STEEL)
    brush.ellipse((0.5, 0.42), (0.085, 0.06), (255, 244, 190), relief=0.02, grain=0.0)
    brush.polygon([(0.36, 0.06), (0.64, 0.06), (0.8, 0.42), (0.2, 0.42)], colour, relief=0.06, grain=0.03)
    glow = [(0.44, 0.16), (0.56, 0.16), (0.62, 0.38), (0.38, 0.38)]
    brush.polygon(glow, adjust_brightness(colour, 1.3), relief=0.08, grain=0.02)
    brush.stroke([(0.2, 0.42), (0.8, 0.42)], 0.022, adjust_brightness(colour, 0.7))
