"""Convert images of any mode to RGB or grey, as web browsers show them."""

import io
import math
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

Colour = tuple[int, int, int]
"""Red, green and blue, 0 to 255 each."""

_PROFILE_SPACES = {"RGB": "RGB", "L": "GRAY", "CMYK": "CMYK"}
_MAX_SRGB_DIFFERENCE = 2  # values of two profiles that differ by at most this number look equal
_MAX_16_BITS = 65535


def to_rgb(
    image: Image.Image, background: Colour, icc_profile: bytes | None = None, *, white_is_zero: bool = False
) -> Image.Image:
    """Convert an image to RGB.

    Transparent pixels are blended with the background. Values of 16 or 32 bits are scaled to 8 bits. Colours are
    converted to sRGB if the colour profile is valid.

    Args:
        image: image of any mode.
        background: colour behind transparent pixels.
        icc_profile: colour profile of the image.
        white_is_zero: whether the values of a 16-bit, 32-bit or float image are inverted, as in some TIFF files.
    """
    alpha = _alpha(image)
    opaque = _to_8_bits(image, white_is_zero) if _is_deep(image) else image
    if opaque.mode == "LAB":
        opaque = _lab_to_rgb(opaque)
    elif opaque.mode not in _PROFILE_SPACES:
        opaque = opaque.convert("RGBA" if opaque.mode in ("PA", "RGBa", "La") else "RGB")
        opaque = opaque.convert("RGB")
    rgb = _to_srgb(opaque, icc_profile) if icc_profile else opaque
    if rgb.mode != "RGB":  # Pillow would copy an RGB image
        rgb = rgb.convert("RGB")
    if alpha is None:
        return rgb
    blended = Image.new("RGB", rgb.size, background)
    blended.paste(rgb, mask=alpha)
    return blended


def scale_to_8_bits(values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Scale pixel values of 16 bits, 32 bits or float to 8 bits.

    16-bit values are scaled from 0..65535. Other values are scaled from 0..1, 0..255 or 0..65535, if they fit into one
    of these ranges, and otherwise from the range of the image.

    Args:
        values: pixel values of any type, (height, width) or (height, width, n_channels).
    """
    if values.dtype == np.uint8:
        return values
    if values.dtype.itemsize == 2 and values.dtype.kind == "u":
        return ((values.astype(np.uint32) * 255 + _MAX_16_BITS // 2) // _MAX_16_BITS).astype(np.uint8)
    values = np.nan_to_num(values.astype(np.float32), nan=0, posinf=0, neginf=0)
    low, high = _range(float(values.min()), float(values.max()))
    scaled = np.round((values - low) * np.float32(255 / (high - low)))
    return np.clip(scaled, 0, 255).astype(np.uint8)


def is_opaque_8_bit(image: Image.Image) -> bool:
    """Return whether an image is RGB or grey with 8 bits and without transparency."""
    return image.mode in ("RGB", "L") and "transparency" not in image.info


def is_srgb(icc_profile: bytes | None, mode: str) -> bool:
    """Return whether a colour profile does not change the colours of an image, or is not valid for its mode."""
    return icc_profile is None or _srgb_transform(icc_profile, mode) is None


def is_valid_profile(icc_profile: bytes, mode: str) -> bool:
    """Return whether a colour profile can be used for images of a mode."""
    return mode not in _PROFILE_SPACES or _open_profile(icc_profile, mode) is not None


def _alpha(image: Image.Image) -> Image.Image | None:
    """Return the opacity of each pixel, or None if all pixels are opaque."""
    if image.mode in ("RGBA", "LA", "PA"):
        alpha = image.getchannel("A")
    elif image.mode in ("RGBa", "La"):
        alpha = image.getchannel("a")
    elif (transparency := image.info.get("transparency")) is None:
        return None
    elif image.mode.startswith("I;16"):
        values = np.asarray(image)
        alpha = Image.fromarray(np.where(values == transparency, 0, 255).astype(np.uint8))
    elif image.mode in ("P", "L", "RGB", "1"):
        alpha = image.convert("RGBA").getchannel("A")
    else:
        return None
    return None if alpha.getextrema() == (255, 255) else alpha


def _is_deep(image: Image.Image) -> bool:
    return image.mode.startswith("I") or image.mode == "F"


def _to_8_bits(image: Image.Image, white_is_zero: bool) -> Image.Image:
    grey = scale_to_8_bits(np.asarray(image))
    return Image.fromarray(255 - grey if white_is_zero else grey)


def _range(lowest: float, highest: float) -> tuple[float, float]:
    """Return the values of black and white for float or 32-bit pixels: a common range, or the range of the image."""
    if lowest >= -0.5:
        for white in (1.5, 255.5, _MAX_16_BITS + 0.5):
            if highest <= white:
                return 0, math.floor(white)
    return lowest, max(highest, lowest + 1)


def _lab_to_rgb(image: Image.Image) -> Image.Image:
    transform = ImageCms.buildTransform(ImageCms.createProfile("LAB"), _srgb_profile(), "LAB", "RGB")
    converted = ImageCms.applyTransform(image, transform)
    return image.convert("RGB") if converted is None else converted


def _to_srgb(image: Image.Image, icc_profile: bytes) -> Image.Image:
    """Convert an RGB, grey or CMYK image to sRGB. An invalid profile has no effect."""
    transform = _srgb_transform(icc_profile, image.mode)
    if transform is None:
        return image
    converted = ImageCms.applyTransform(image, transform)
    return image if converted is None else converted


@lru_cache(maxsize=64)
def _srgb_transform(icc_profile: bytes, mode: str) -> "ImageCms.ImageCmsTransform | None":
    """Return the transform from a profile to sRGB. Return None if the profile is invalid, or equals sRGB."""
    profile = _open_profile(icc_profile, mode)
    if profile is None:
        return None
    try:
        transform = ImageCms.buildTransform(profile, _srgb_profile(), mode, "RGB")
        changed = ImageCms.applyTransform(_colour_samples(mode), transform)
    except (ImageCms.PyCMSError, ValueError, OSError):
        return None
    if mode == "CMYK" or changed is None:
        return transform
    samples = np.asarray(_colour_samples(mode).convert("RGB")).astype(int)
    difference = np.abs(samples - np.asarray(changed)).max()
    return None if difference <= _MAX_SRGB_DIFFERENCE else transform


def _open_profile(icc_profile: bytes, mode: str) -> "ImageCms.ImageCmsProfile | None":
    """Return a colour profile for images of a mode. Return None if the profile is damaged or for other images."""
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc_profile))
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    space = str(profile.profile.xcolor_space).strip()
    return profile if space == _PROFILE_SPACES.get(mode) else None


@lru_cache(maxsize=1)
def _srgb_profile() -> Any:
    return ImageCms.createProfile("sRGB")


def _colour_samples(mode: str) -> Image.Image:
    """Return an image with evenly spaced colours."""
    levels = np.linspace(0, 255, 6).round().astype(np.uint8)
    if mode == "L":
        return Image.fromarray(levels[None])
    grid = np.stack(np.meshgrid(*[levels] * len(mode), indexing="ij"), axis=-1)
    return Image.frombytes(mode, (grid.size // len(mode), 1), grid.tobytes())
