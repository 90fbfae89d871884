"""The index's names of colours: the eleven that languages have first (Berlin and Kay 1969)."""

import numpy as np
from PIL import Image

COLOURS: dict[str, tuple[int, int, int]] = {  # name -> sRGB of its best example
    "black": (20, 20, 20),
    "white": (245, 245, 245),
    "grey": (128, 128, 128),
    "red": (200, 30, 35),
    "orange": (240, 130, 30),
    "yellow": (240, 215, 50),
    "green": (60, 140, 60),
    "blue": (50, 100, 190),
    "purple": (120, 60, 150),
    "pink": (240, 150, 180),
    "brown": (115, 75, 45),
}
MUCH = 0.15  # of a photo that a colour covers, to be one of its colours
_SIDE = 48  # pixels that a photo is reduced to
_NAMES = np.array(list(COLOURS))


def colours_of(photo: Image.Image) -> list[str]:
    """Names of the colours that cover at least MUCH of the photo, the greatest first."""
    import cv2

    small = np.asarray(photo.convert("RGB").resize((_SIDE, _SIDE), Image.Resampling.BOX))
    pixels, examples = (
        cv2.cvtColor(part.astype(np.float32) / 255, cv2.COLOR_RGB2LAB).reshape(-1, 3)
        for part in (small, np.array([list(COLOURS.values())], dtype=np.uint8))
    )
    nearest = np.linalg.norm(pixels[:, None] - examples, axis=2).argmin(axis=1)
    shares = np.bincount(nearest, minlength=len(_NAMES)) / len(nearest)
    order = np.argsort(-shares, kind="stable")
    return [str(_NAMES[at]) for at in order if shares[at] >= MUCH]
