"""A brush that draws shaded polygons, ellipses and lines on a transparent square."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from kadr.sample.scene_vocabulary import RGB

PixelArray = npt.NDArray[np.float32]
Point = tuple[float, float]
Points = Sequence[Point]

SUPERSAMPLING = 2
_LIGHT_DIRECTION = (0.3, 0.4)


def adjust_brightness(colour: RGB, factor: float) -> RGB:
    """Darken a colour if `factor` is below 1. Mix the colour with white if `factor` is above 1."""
    if factor <= 1:
        return colour[0] * factor, colour[1] * factor, colour[2] * factor
    white = 255 * (factor - 1)
    share = 2 - factor
    return colour[0] * share + white, colour[1] * share + white, colour[2] * share + white


class Brush:
    """Draw shapes in unit coordinates, from (0, 0) in the upper left corner to (1, 1) in the lower right corner.

    The parameter `relief` is the width of a shape's rounded edge, as a fraction of the side length of the square. The
    parameter `grain` is the strength of the surface noise.

    Args:
        side: Side length of the final image in pixels.
        rng: Random number generator for the surface noise and for the drawing functions.
    """

    def __init__(self, side: int, rng: np.random.Generator) -> None:
        self.rng = rng
        self._side = side * SUPERSAMPLING
        shape = (self._side, self._side)
        self._rgb: PixelArray = np.zeros((*shape, 3), dtype=np.float32)
        self._alpha: PixelArray = np.zeros(shape, dtype=np.float32)
        self._grain: PixelArray = rng.standard_normal(shape, dtype=np.float32)

    def polygon(self, points: Points, colour: RGB, relief: float = 0.06, grain: float = 0.05) -> None:
        """Fill a polygon."""
        mask, pen = self._new_mask()
        pen.polygon([self._to_pixels(point) for point in points], fill=255)
        self._paint(mask, colour, relief, grain)

    def ellipse(self, centre: Point, half_axes: Point, colour: RGB, relief: float = 0.08, grain: float = 0.05) -> None:
        """Fill an ellipse."""
        mask, pen = self._new_mask()
        left, top = self._to_pixels((centre[0] - half_axes[0], centre[1] - half_axes[1]))
        right, bottom = self._to_pixels((centre[0] + half_axes[0], centre[1] + half_axes[1]))
        pen.ellipse((left, top, right, bottom), fill=255)
        self._paint(mask, colour, relief, grain)

    def stroke(self, points: Points, width: float, colour: RGB, relief: float = 0.02) -> None:
        """Draw a line with round ends and joints."""
        mask, pen = self._new_mask()
        pixels = [self._to_pixels(point) for point in points]
        thickness = max(1, round(width * self._side))
        pen.line(pixels, fill=255, width=thickness, joint="curve")
        for x, y in pixels:
            pen.ellipse((x - thickness / 2, y - thickness / 2, x + thickness / 2, y + thickness / 2), fill=255)
        self._paint(mask, colour, relief, 0.03)

    def to_image(self) -> Image.Image:
        """Return the drawing as an RGBA image in its final size."""
        rgba = np.dstack([np.clip(self._rgb, 0, 255), self._alpha * 255]).astype(np.uint8)
        return Image.fromarray(rgba, "RGBA").reduce(SUPERSAMPLING)

    def _new_mask(self) -> tuple[Image.Image, ImageDraw.ImageDraw]:
        mask = Image.new("L", (self._side, self._side))
        return mask, ImageDraw.Draw(mask)

    def _to_pixels(self, point: Point) -> Point:
        return point[0] * self._side, point[1] * self._side

    def _paint(self, mask: Image.Image, colour: RGB, relief: float, grain: float) -> None:
        """Paint the masked shape, shaded by a single light source."""
        box = mask.getbbox()
        if box is None:
            return
        radius = max(0.5, relief * self._side)
        shape = mask.crop(box)
        cover = np.asarray(shape, dtype=np.float32) / 255
        height = np.asarray(shape.filter(ImageFilter.GaussianBlur(radius)), dtype=np.float32) / 255
        shade = 0.97 + grain * self._grain[box[1] : box[3], box[0] : box[2]]
        slope_x, slope_y = height[:, 2:] - height[:, :-2], height[2:] - height[:-2]
        shade[:, 1:-1] += np.clip(_LIGHT_DIRECTION[0] * radius * slope_x, -0.3, 0.25)
        shade[1:-1] += np.clip(_LIGHT_DIRECTION[1] * radius * slope_y, -0.3, 0.25)
        shade = (shade * (0.6 + 0.4 * np.clip(height * 1.4, 0, 1)))[..., None]
        lit = np.asarray(colour, dtype=np.float32) * np.minimum(shade, 1) + 150 * np.clip(shade - 1, 0, 1)
        region = np.s_[box[1] : box[3], box[0] : box[2]]
        self._rgb[region] += (lit - self._rgb[region]) * cover[..., None]
        self._alpha[region] = np.maximum(self._alpha[region], cover)
