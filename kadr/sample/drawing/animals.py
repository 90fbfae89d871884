"""Drawings of animals and people: dog, cat, bird, person."""

from kadr.sample.drawing.brush import Brush, adjust_brightness
from kadr.sample.scene_vocabulary import RGB

_SKINS: tuple[RGB, ...] = ((240, 200, 170), (214, 164, 124), (150, 102, 70), (98, 64, 44))
_HAIRS: tuple[RGB, ...] = ((40, 30, 24), (96, 62, 34), (190, 150, 80), (150, 150, 150))
_TROUSERS: tuple[RGB, ...] = ((52, 58, 84), (70, 66, 60), (96, 98, 104))
_DARK: RGB = (22, 20, 20)


def dog(brush: Brush, colour: RGB) -> None:
    """Draw a dog from the side, with a long snout, a hanging ear and a raised tail."""
    wag = float(brush.rng.uniform(-0.05, 0.05))
    far = adjust_brightness(colour, 0.7)
    brush.stroke([(0.2, 0.5), (0.1, 0.36), (0.08 + wag, 0.22)], 0.055, colour)
    for x in (0.3, 0.64):
        brush.stroke([(x, 0.6), (x - 0.02, 0.95)], 0.07, far)
    brush.ellipse((0.43, 0.55), (0.27, 0.15), colour)
    brush.ellipse((0.6, 0.52), (0.15, 0.16), colour)
    for x in (0.22, 0.58):
        brush.stroke([(x, 0.58), (x + 0.01, 0.95)], 0.08, colour)
        brush.ellipse((x + 0.03, 0.95), (0.055, 0.028), adjust_brightness(colour, 0.9))
    brush.polygon([(0.56, 0.5), (0.64, 0.26), (0.8, 0.3), (0.74, 0.56)], colour)
    brush.ellipse((0.75, 0.28), (0.135, 0.115), colour)
    brush.ellipse((0.88, 0.33), (0.1, 0.062), adjust_brightness(colour, 1.12))
    brush.ellipse((0.965, 0.305), (0.028, 0.026), _DARK)
    brush.ellipse((0.66, 0.32), (0.055, 0.125), far)
    brush.ellipse((0.79, 0.25), (0.02, 0.022), _DARK)
    brush.stroke([(0.6, 0.44), (0.74, 0.46)], 0.03, (190, 30, 40))


def cat(brush: Brush, colour: RGB) -> None:
    """Draw a sitting cat from the front, with pointed ears, whiskers and a curled tail."""
    pale = adjust_brightness(colour, 1.25)
    brush.stroke([(0.68, 0.9), (0.86, 0.86), (0.9, 0.66), (0.82, 0.56)], 0.075, adjust_brightness(colour, 0.85))
    brush.ellipse((0.5, 0.73), (0.24, 0.24), colour)
    brush.ellipse((0.5, 0.62), (0.17, 0.22), colour)
    brush.ellipse((0.5, 0.66), (0.085, 0.14), pale)
    for side in (-1, 1):
        brush.ellipse((0.5 + 0.1 * side, 0.93), (0.075, 0.042), pale)
        ear = [(0.5 + 0.2 * side, 0.3), (0.5 + 0.19 * side, 0.05), (0.5 + 0.04 * side, 0.2)]
        brush.polygon(ear, colour)
        brush.polygon([(0.5 + (x - 0.5) * 0.86, y + 0.05) for x, y in ear], (226, 140, 140), relief=0.02)
    brush.ellipse((0.5, 0.33), (0.21, 0.17), colour)
    brush.ellipse((0.5, 0.41), (0.1, 0.065), pale)
    for side in (-1, 1):
        brush.ellipse((0.5 + 0.09 * side, 0.31), (0.042, 0.036), (150, 205, 70), relief=0.01)
        brush.ellipse((0.5 + 0.09 * side, 0.31), (0.014, 0.034), _DARK, relief=0.01)
        for drop in (0.0, 0.035):
            whisker = [(0.5 + 0.07 * side, 0.4 + drop), (0.5 + 0.3 * side, 0.37 + 2 * drop)]
            brush.stroke(whisker, 0.008, (225, 225, 225))
    brush.polygon([(0.47, 0.375), (0.53, 0.375), (0.5, 0.41)], (214, 90, 100), relief=0.01)


def bird(brush: Brush, colour: RGB) -> None:
    """Draw a flying bird with both wings raised."""
    lift = float(brush.rng.uniform(-0.06, 0.06))
    far = adjust_brightness(colour, 0.72)
    brush.polygon([(0.5, 0.52), (0.62, 0.12 + lift), (0.74, 0.04 + lift), (0.72, 0.3), (0.66, 0.52)], far)
    brush.polygon([(0.26, 0.6), (0.02, 0.56), (0.0, 0.68), (0.08, 0.7), (0.04, 0.78), (0.28, 0.7)], far)
    brush.ellipse((0.48, 0.62), (0.27, 0.125), colour)
    brush.ellipse((0.5, 0.68), (0.18, 0.06), adjust_brightness(colour, 1.35))
    brush.ellipse((0.76, 0.54), (0.11, 0.1), colour)
    brush.polygon([(0.85, 0.5), (0.99, 0.56), (0.85, 0.6)], (246, 158, 30), relief=0.02)
    brush.ellipse((0.79, 0.51), (0.022, 0.024), _DARK, relief=0.01)
    wing = [(0.62, 0.6), (0.44, 0.2 - lift), (0.22, 0.08 - lift), (0.2, 0.2 - lift), (0.26, 0.3), (0.3, 0.6)]
    brush.polygon(wing, colour)
    for step in (0.0, 0.06, 0.12):
        brush.stroke([(0.3 + step, 0.26 + step / 2), (0.38 + step, 0.52)], 0.014, far)


def person(brush: Brush, colour: RGB) -> None:
    """Draw a standing person with a shirt in the given colour."""
    rng = brush.rng
    skin = _SKINS[int(rng.integers(len(_SKINS)))]
    hair = _HAIRS[int(rng.integers(len(_HAIRS)))]
    trousers = _TROUSERS[int(rng.integers(len(_TROUSERS)))]
    swing = float(rng.uniform(0.0, 0.09))
    for side in (-1, 1):
        brush.stroke([(0.5 + 0.065 * side, 0.56), (0.5 + 0.085 * side, 0.92)], 0.105, trousers)
        brush.ellipse((0.5 + 0.1 * side, 0.955), (0.075, 0.03), _DARK)
        elbow, hand = (0.5 + 0.21 * side, 0.44), (0.5 + (0.19 + swing) * side, 0.54)
        brush.ellipse(hand, (0.04, 0.04), skin)
        brush.stroke(
            [(0.5 + 0.14 * side, 0.28), elbow, (hand[0], hand[1] - 0.04)], 0.08, adjust_brightness(colour, 0.9)
        )
    brush.polygon([(0.35, 0.26), (0.42, 0.22), (0.58, 0.22), (0.65, 0.26), (0.62, 0.6), (0.38, 0.6)], colour)
    brush.stroke([(0.5, 0.18), (0.5, 0.23)], 0.08, skin)
    brush.ellipse((0.5, 0.1), (0.095, 0.1), hair)
    brush.ellipse((0.5, 0.125), (0.082, 0.085), skin)
    for side in (-1, 1):
        brush.ellipse((0.5 + 0.034 * side, 0.115), (0.01, 0.011), _DARK, relief=0.005)
    brush.stroke([(0.475, 0.165), (0.525, 0.165)], 0.01, (170, 70, 70))
