"""What backgrounds are painted from: gradients, cloudy noise, bands below a horizon."""

import numpy as np
import numpy.typing as npt
from PIL import Image

from kadr.sample.vocabulary import RGB

Floats = npt.NDArray[np.float32]


class Ground:
    """A picture in floats, (height, width, 3) in 0..255, painted from the far to the near."""

    def __init__(self, width: int, height: int, rng: np.random.Generator) -> None:
        self.rng = rng
        self.width, self.height = width, height
        self.pixels: Floats = np.zeros((height, width, 3), dtype=np.float32)

    def gradient(self, top: float, bottom: float, upper: RGB, lower: RGB) -> None:
        """Fill the rows between two shares of the height with a vertical gradient."""
        rows = self._rows(top, bottom)
        steps = np.linspace(0, 1, max(1, rows.stop - rows.start), dtype=np.float32)[:, None, None]
        one, other = np.asarray(upper, dtype=np.float32), np.asarray(lower, dtype=np.float32)
        self.pixels[rows] = one * (1 - steps) + other * steps

    def noise(self, top: float, bottom: float, cells: tuple[int, int], strength: float) -> None:
        """Add smooth noise of so many cells (across, down) to the brightness of the rows."""
        rows = self._rows(top, bottom)
        self.pixels[rows] += strength * self.cloud(cells, rows.stop - rows.start)[..., None]

    def blend(self, top: float, bottom: float, colour: RGB, cover: Floats) -> None:
        """Lay a colour over the rows, `cover` (n_rows, width) in 0..1 says how densely."""
        rows = self._rows(top, bottom)
        self.pixels[rows] += (np.asarray(colour, dtype=np.float32) - self.pixels[rows]) * cover[..., None]

    def hills(self, base: float, rise: float, bumps: int, colour: RGB) -> None:
        """A ridge: everything from a wavy line above `base` down to `base` in one colour."""
        ridge = base - rise * (0.5 + 0.35 * self.cloud((bumps, 1), 1)[0])
        rows = np.arange(self.height, dtype=np.float32)[:, None] / self.height
        cover = np.clip((rows - ridge[None, :]) * self.height, 0, 1) * (rows < base)
        self.blend(0, 1, colour, cover.astype(np.float32))

    def box(self, left: float, top: float, right: float, bottom: float, colour: RGB) -> None:
        """A rectangle between shares of the width and the height."""
        columns = slice(max(0, round(left * self.width)), max(0, round(right * self.width)))
        self.pixels[self._rows(top, bottom), columns] = colour

    def cloud(self, cells: tuple[int, int], n_rows: int) -> Floats:
        """Smooth noise (n_rows, width) of about unit spread."""
        small = self.rng.standard_normal((cells[1] + 1, cells[0] + 1), dtype=np.float32)
        size = (self.width, max(1, n_rows))
        return np.asarray(Image.fromarray(small).resize(size, Image.Resampling.BICUBIC), dtype=np.float32)

    def n_rows(self, top: float, bottom: float) -> int:
        """How many rows lie between two shares of the height."""
        rows = self._rows(top, bottom)
        return int(rows.stop - rows.start)

    def _rows(self, top: float, bottom: float) -> slice:
        return slice(round(top * self.height), round(bottom * self.height))
