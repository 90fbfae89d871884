"""The index's names of colours: the eleven that languages have first (Berlin and Kay 1969)."""

import numpy as np
from PIL import Image

COLOURS: dict[str, list[tuple[int, int, int]]] = {  # name -> sRGB of good examples, in several lights
    "black": [(10, 10, 10), (35, 35, 35)],
    "white": [(255, 255, 255), (225, 225, 225)],
    "grey": [(75, 75, 75), (128, 128, 128), (180, 180, 180)],
    "red": [(255, 0, 0), (200, 30, 35), (120, 15, 20)],
    "orange": [(255, 165, 0), (230, 110, 30)],
    "yellow": [(255, 255, 0), (240, 215, 50)],
    "green": [(0, 160, 0), (60, 110, 50), (25, 60, 25), (150, 200, 100)],
    "blue": [(0, 0, 255), (0, 0, 110), (50, 100, 190), (130, 180, 235)],
    "purple": [(128, 0, 128), (120, 60, 170)],
    "pink": [(255, 150, 190), (235, 90, 150)],
    "brown": [(75, 45, 25), (120, 80, 45), (160, 115, 75)],
}
MUCH = 0.15  # of a photo that a colour covers, to be one of its colours
_SIDE = 48  # pixels that a photo is reduced to
_EXAMPLES = np.array([[example for examples in COLOURS.values() for example in examples]], dtype=np.uint8)
_NAME_OF = np.repeat(np.arange(len(COLOURS)), [len(examples) for examples in COLOURS.values()])


def colours_of(photo: Image.Image) -> list[str]:
    """Names of the colours that cover at least MUCH of the photo, the greatest first."""
    import cv2

    small = np.asarray(photo.convert("RGB").resize((_SIDE, _SIDE), Image.Resampling.BOX))
    pixels, examples = (
        cv2.cvtColor(part.astype(np.float32) / 255, cv2.COLOR_RGB2LAB).reshape(-1, 3) for part in (small, _EXAMPLES)
    )
    nearest = _NAME_OF[np.linalg.norm(pixels[:, None] - examples, axis=2).argmin(axis=1)]
    shares = np.bincount(nearest, minlength=len(COLOURS)) / len(nearest)
    names = list(COLOURS)
    return [names[at] for at in np.argsort(-shares, kind="stable") if shares[at] >= MUCH]
