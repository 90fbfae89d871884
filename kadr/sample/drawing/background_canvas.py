"""A canvas for backgrounds: gradients, smooth noise, hills and rectangles."""

import numpy as np
import numpy.typing as npt
from PIL import Image

from kadr.sample.scene_vocabulary import RGB

FloatArray = npt.NDArray[np.float32]


class BackgroundCanvas:
    """A canvas of shape (height, width, 3) with floating-point pixel values from 0 to 255.

    Later shapes cover earlier shapes.

    Vertical positions are fractions of the height. Horizontal positions are fractions of the width.

    Args:
        width: Width in pixels.
        height: Height in pixels.
        rng: Random number generator.
    """

    def __init__(self, width: int, height: int, rng: np.random.Generator) -> None:
        self.rng = rng
        self.width, self.height = width, height
        self.pixels: FloatArray = np.zeros((height, width, 3), dtype=np.float32)

    def fill_gradient(self, top: float, bottom: float, top_colour: RGB, bottom_colour: RGB) -> None:
        """Fill the rows between `top` and `bottom` with a vertical gradient."""
        rows = self._rows(top, bottom)
        steps = np.linspace(0, 1, max(1, rows.stop - rows.start), dtype=np.float32)[:, None, None]
        upper, lower = np.asarray(top_colour, dtype=np.float32), np.asarray(bottom_colour, dtype=np.float32)
        self.pixels[rows] = upper * (1 - steps) + lower * steps

    def add_noise(self, top: float, bottom: float, cells: tuple[int, int], strength: float) -> None:
        """Add smooth noise to the brightness of the rows between `top` and `bottom`.

        Args:
            top: Top edge of the rows, as a fraction of the height.
            bottom: Bottom edge of the rows, as a fraction of the height.
            cells: Numbers of noise cells in the horizontal and vertical directions.
            strength: Standard deviation of the noise, in brightness levels.
        """
        rows = self._rows(top, bottom)
        self.pixels[rows] += strength * self.smooth_noise(cells, rows.stop - rows.start)[..., None]

    def blend_colour(self, top: float, bottom: float, colour: RGB, opacity: FloatArray) -> None:
        """Blend a colour into the rows between `top` and `bottom`.

        Args:
            top: Top edge of the rows, as a fraction of the height.
            bottom: Bottom edge of the rows, as a fraction of the height.
            colour: Colour to blend in.
            opacity: Opacity of the colour in each pixel, 0 to 1, as an array of shape (n_rows, width).
        """
        rows = self._rows(top, bottom)
        self.pixels[rows] += (np.asarray(colour, dtype=np.float32) - self.pixels[rows]) * opacity[..., None]

    def draw_hills(self, base: float, rise: float, bumps: int, colour: RGB) -> None:
        """Draw a row of hills with a wavy upper edge and a straight lower edge at `base`."""
        ridge = base - rise * (0.5 + 0.35 * self.smooth_noise((bumps, 1), 1)[0])
        rows = np.arange(self.height, dtype=np.float32)[:, None] / self.height
        opacity = np.clip((rows - ridge[None, :]) * self.height, 0, 1) * (rows < base)
        self.blend_colour(0, 1, colour, opacity.astype(np.float32))

    def fill_rectangle(self, left: float, top: float, right: float, bottom: float, colour: RGB) -> None:
        """Fill a rectangle with a colour."""
        columns = slice(max(0, round(left * self.width)), max(0, round(right * self.width)))
        self.pixels[self._rows(top, bottom), columns] = colour

    def smooth_noise(self, cells: tuple[int, int], n_rows: int) -> FloatArray:
        """Return smooth noise of shape (n_rows, width) with a standard deviation of about 1."""
        coarse = self.rng.standard_normal((cells[1] + 1, cells[0] + 1), dtype=np.float32)
        size = (self.width, max(1, n_rows))
        return np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC), dtype=np.float32)

    def count_rows(self, top: float, bottom: float) -> int:
        """Return the number of pixel rows between `top` and `bottom`."""
        rows = self._rows(top, bottom)
        return int(rows.stop - rows.start)

    def _rows(self, top: float, bottom: float) -> slice:
        return slice(round(top * self.height), round(bottom * self.height))
