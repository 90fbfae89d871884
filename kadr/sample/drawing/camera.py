"""Camera simulation: lens blur, exposure, white balance, vignette and sensor noise."""

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter


def simulate_camera(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Return the image with random camera effects."""
    blurred = image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.25, 0.8))))
    gamma = float(rng.uniform(0.88, 1.12))
    pixels = np.asarray(blurred.point(lambda value: 255 * (value / 255) ** gamma), dtype=np.float32)
    gains = rng.uniform(0.86, 1.14) * rng.uniform(0.95, 1.05, size=3)
    vignette = _make_vignette(image.height, image.width, float(rng.uniform(0, 0.35)))
    noise = rng.standard_normal(pixels.shape, dtype=np.float32) * np.float32(rng.uniform(1.5, 6))
    noise += pixels * (gains.astype(np.float32) * vignette)
    return Image.fromarray(np.clip(noise, 0, 255, out=noise).astype(np.uint8))


def scale_brightness(image: Image.Image, gain: float) -> Image.Image:
    """Multiply the brightness of an image by `gain`."""
    return image.point(lambda value: value * gain)


def _make_vignette(height: int, width: int, strength: float) -> npt.NDArray[np.float32]:
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    return (1 - strength * (y**2 + x**2) / 2)[..., None].astype(np.float32)
