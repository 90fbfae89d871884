"""The ingest part's look at a decoded photo: perceptual hash, blur and exposure, all of its upright luminance."""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from kadr.io.image_decoding import upright

SIDE = 256  # blur is measured with the longer side reduced to so many pixels, or photos of two sizes do not compare
HASHED = (32, 32)  # what imagehash would reduce a photo to itself, at three times the cost of all else here

Luminance = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Pixels:
    """What a photo's pixels say.

    Attributes:
        phash: 64-bit perceptual hash, 16 hexadecimal digits.
        blur: variance of the Laplacian (Pech-Pacheco et al. 2000): the lower, the more blurred.
        exposure: mean luminance, 0 (black) to 1 (white).
    """

    phash: str
    blur: float
    exposure: float


def look_at(image: Image.Image) -> Pixels:
    """Hash and measure a decoded photo."""
    import imagehash

    grey = np.asarray(upright(image).convert("L"))
    reduced = reduce(grey)
    _, deviation = cv2.meanStdDev(cv2.Laplacian(reduced, cv2.CV_16S))
    bits = imagehash.phash(Image.fromarray(cv2.resize(grey, HASHED, interpolation=cv2.INTER_AREA))).hash
    return Pixels(
        phash=np.packbits(bits).tobytes().hex(),
        blur=round(float(deviation[0, 0]) ** 2, 3),
        exposure=round(cv2.mean(reduced)[0] / 255, 4),
    )


def reduce(grey: Luminance) -> Luminance:
    """The picture (h, w) with its longer side at most SIDE pixels."""
    scale = SIDE / max(grey.shape)
    if scale >= 1:
        return grey
    height, width = (max(1, round(side * scale)) for side in grey.shape)
    reduced: Luminance = cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    return reduced
