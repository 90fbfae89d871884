"""Compute the perceptual hash, blur and exposure of an image."""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from kadr.io.image_decoding import apply_orientation

MEASURED_SIDE = 256
"""Maximum length of the longer side in pixels. Larger images are reduced to this size before blur is measured."""

DRAFT_SIZE = (MEASURED_SIDE, MEASURED_SIDE)
"""Minimum width and height in pixels of a JPEG that is decoded at a reduced size to measure its quality."""

HASH_SIZE = (32, 32)
"""Width and height in pixels of the image that is hashed. OpenCV reduces an image 3 times as fast as imagehash."""

Luminance = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class ImageQuality:
    """Perceptual hash, blur and exposure of one image.

    Attributes:
        phash: 64-bit perceptual hash as 16 hexadecimal digits.
        blur: variance of the Laplacian (Pech-Pacheco et al. 2000). Lower values indicate more blur.
        exposure: mean luminance, 0 (black) to 1 (white).
    """

    phash: str
    blur: float
    exposure: float


def measure_image(image: Image.Image) -> ImageQuality:
    """Apply the EXIF orientation of an image, and compute its perceptual hash, blur and exposure."""
    import imagehash

    grey = np.asarray(apply_orientation(image).convert("L"))
    reduced = reduce_luminance(grey)
    _, deviation = cv2.meanStdDev(cv2.Laplacian(reduced, cv2.CV_16S))
    bits = imagehash.phash(Image.fromarray(cv2.resize(grey, HASH_SIZE, interpolation=cv2.INTER_AREA))).hash
    return ImageQuality(
        phash=np.packbits(bits).tobytes().hex(),
        blur=round(float(deviation[0, 0]) ** 2, 3),
        exposure=round(cv2.mean(reduced)[0] / 255, 4),
    )


def reduce_luminance(grey: Luminance) -> Luminance:
    """Reduce a grey image (height, width) to at most MEASURED_SIDE pixels on its longer side."""
    scale = MEASURED_SIDE / max(grey.shape)
    if scale >= 1:
        return grey
    height, width = (max(1, round(side * scale)) for side in grey.shape)
    reduced: Luminance = cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    return reduced
