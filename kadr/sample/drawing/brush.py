"""A brush that paints one thing on its own square, part by part, each rounded by light from one side."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from kadr.sample.vocabulary import RGB

Floats = npt.NDArray[np.float32]
Point = tuple[float, float]
Points = Sequence[Point]

SUPERSAMPLING = 2
_LIGHT = (0.3, 0.4)


def tone(colour: RGB, factor: float) -> RGB:
    """The colour made darker (factor < 1) or mixed with white (factor > 1)."""
    if factor <= 1:
        return colour[0] * factor, colour[1] * factor, colour[2] * factor
    white = 255 * (factor - 1)
    keep = 2 - factor
    return colour[0] * keep + white, colour[1] * keep + white, colour[2] * keep + white


class Brush:
    """Paints in unit coordinates: (0, 0) the upper left of the square, (1, 1) the lower right.

    Args:
        side: Side of the finished square in pixels.
        rng: Source of the grain and of the drawings' own variety.
    """

    def __init__(self, side: int, rng: np.random.Generator) -> None:
        self.rng = rng
        self._side = side * SUPERSAMPLING
        shape = (self._side, self._side)
        self._rgb: Floats = np.zeros((*shape, 3), dtype=np.float32)
        self._alpha: Floats = np.zeros(shape, dtype=np.float32)
        self._grain: Floats = rng.standard_normal(shape, dtype=np.float32)

    def polygon(self, points: Points, colour: RGB, relief: float = 0.06, grain: float = 0.05) -> None:
        """Fill a polygon; `relief` is how far from its rim it is rounded, as a share of the square."""
        mask, pen = self._mask()
        pen.polygon([self._pixel(point) for point in points], fill=255)
        self._paint(mask, colour, relief, grain)

    def ellipse(self, at: Point, axes: Point, colour: RGB, relief: float = 0.08, grain: float = 0.05) -> None:
        """Fill an ellipse round `at` with these half-axes."""
        mask, pen = self._mask()
        left, top = self._pixel((at[0] - axes[0], at[1] - axes[1]))
        right, bottom = self._pixel((at[0] + axes[0], at[1] + axes[1]))
        pen.ellipse((left, top, right, bottom), fill=255)
        self._paint(mask, colour, relief, grain)

    def stroke(self, points: Points, width: float, colour: RGB, relief: float = 0.02) -> None:
        """Draw a line of round ends and joints."""
        mask, pen = self._mask()
        pixels = [self._pixel(point) for point in points]
        thick = max(1, round(width * self._side))
        pen.line(pixels, fill=255, width=thick, joint="curve")
        for x, y in pixels:
            pen.ellipse((x - thick / 2, y - thick / 2, x + thick / 2, y + thick / 2), fill=255)
        self._paint(mask, colour, relief, 0.03)

    def finished(self) -> Image.Image:
        """The square as an RGBA picture of its final size."""
        rgba = np.dstack([np.clip(self._rgb, 0, 255), self._alpha * 255]).astype(np.uint8)
        return Image.fromarray(rgba, "RGBA").reduce(SUPERSAMPLING)

    def _mask(self) -> tuple[Image.Image, ImageDraw.ImageDraw]:
        mask = Image.new("L", (self._side, self._side))
        return mask, ImageDraw.Draw(mask)

    def _pixel(self, point: Point) -> Point:
        return point[0] * self._side, point[1] * self._side

    def _paint(self, mask: Image.Image, colour: RGB, relief: float, grain: float) -> None:
        box = mask.getbbox()
        if box is None:
            return
        radius = max(0.5, relief * self._side)
        part = mask.crop(box)
        cover = np.asarray(part, dtype=np.float32) / 255
        height = np.asarray(part.filter(ImageFilter.GaussianBlur(radius)), dtype=np.float32) / 255
        shade = 0.97 + grain * self._grain[box[1] : box[3], box[0] : box[2]]
        across, down = height[:, 2:] - height[:, :-2], height[2:] - height[:-2]
        shade[:, 1:-1] += np.clip(_LIGHT[0] * radius * across, -0.3, 0.25)
        shade[1:-1] += np.clip(_LIGHT[1] * radius * down, -0.3, 0.25)
        shade = (shade * (0.6 + 0.4 * np.clip(height * 1.4, 0, 1)))[..., None]
        lit = np.asarray(colour, dtype=np.float32) * np.minimum(shade, 1) + 150 * np.clip(shade - 1, 0, 1)
        region = np.s_[box[1] : box[3], box[0] : box[2]]
        self._rgb[region] += (lit - self._rgb[region]) * cover[..., None]
        self._alpha[region] = np.maximum(self._alpha[region], cover)
