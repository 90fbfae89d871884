"""Compute the perceptual hash, visual signature, blur and exposure of an image."""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from kadr.io.image_signature import Signature, compute_signature

MEASURED_SIDE = 256
"""Maximum length of the longer side in pixels. Larger images are reduced to this size before blur is measured."""

HASH_SIZE = (32, 32)
"""Width and height in pixels of the image that is hashed."""

_N_FREQUENCIES = 8  # per side
_NO_AMPLITUDE = 1e-9  # smaller amplitudes are rounding errors

Luminance = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class ImageQuality:
    """Perceptual hash, visual signature, blur and exposure of one image.

    Attributes:
        phash: 64-bit perceptual hash as 16 hexadecimal digits.
        signature: visual signature, which tells images with similar hashes apart.
        blur: variance of the Laplacian (Pech-Pacheco et al. 2000). Lower values indicate more blur.
        exposure: mean luminance, 0 (black) to 1 (white).
    """

    phash: str
    signature: Signature
    blur: float
    exposure: float


def measure_image(image: Image.Image) -> ImageQuality:
    """Compute the perceptual hash, visual signature, blur and exposure of an upright RGB image."""
    grey = np.asarray(image.convert("L"))
    reduced = reduce_luminance(grey)
    _, deviation = cv2.meanStdDev(cv2.Laplacian(reduced, cv2.CV_16S))
    return ImageQuality(
        phash=_hash(grey),
        signature=compute_signature(grey, np.asarray(image if image.mode == "RGB" else image.convert("RGB"))),
        blur=round(float(deviation[0, 0]) ** 2, 3),
        exposure=round(cv2.mean(reduced)[0] / 255, 4),
    )


def _hash(grey: Luminance) -> str:
    """Compute the hash of `imagehash.phash`, which would import scipy in each worker process."""
    values = cv2.resize(grey, HASH_SIZE, interpolation=cv2.INTER_AREA).astype(np.float64)
    amplitudes = cv2.dct(values)[:_N_FREQUENCIES, :_N_FREQUENCIES].copy()
    amplitudes[0] *= np.sqrt(2)  # imagehash does not normalise the amplitudes
    amplitudes[:, 0] *= np.sqrt(2)
    amplitudes[np.abs(amplitudes) < _NO_AMPLITUDE] = 0
    return np.packbits(amplitudes > np.median(amplitudes)).tobytes().hex()


def reduce_luminance(grey: Luminance) -> Luminance:
    """Reduce a grey image (height, width) to at most MEASURED_SIDE pixels on its longer side."""
    scale = MEASURED_SIDE / max(grey.shape)
    if scale >= 1:
        return grey
    height, width = (max(1, round(side * scale)) for side in grey.shape)
    reduced: Luminance = cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    return reduced
