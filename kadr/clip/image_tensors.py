"""Decode, augment and normalise images for CLIP training."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from kadr.io.image_decoding import DEFAULT_LIMITS, read_image
from kadr.params import DecodingParams
from kadr.progress import progress

if TYPE_CHECKING:
    import torch

_THREADS = 2
_ZOOM = (0.84, 1.0)
_BRIGHTNESS = 0.12


def read_pixels(
    label: str,
    images: Sequence[Mapping[Any, str]],
    resize: Callable[[Image.Image], "torch.Tensor"],
    decoding: DecodingParams = DEFAULT_LIMITS,
) -> "torch.Tensor":
    """Decode and resize images.

    Args:
        label: label of the progress bar.
        images: images to decode: mappings with the keys `path` and `sha256`.
        resize: function that converts an image to a tensor (3, height, width), float32 in 0..1.
        decoding: settings of the image decoder.

    Returns:
        Images, (n_images, 3, height, width) uint8.

    Raises:
        InputError: an image cannot be read.
    """
    import torch

    def read(image: Mapping[Any, str]) -> torch.Tensor:
        pixels = resize(read_image(Path(image["path"]), image["sha256"], limits=decoding))
        return (pixels * 255).round().to(torch.uint8)

    pixels = []
    with progress(label, len(images)) as advance, ThreadPoolExecutor(_THREADS) as pool:
        for tensor in pool.map(read, images):
            pixels.append(tensor)
            advance(1)
    return torch.stack(pixels)


def augment(pixels: "torch.Tensor", rng: np.random.Generator) -> "torch.Tensor":
    """Randomly crop each image, and randomly change its brightness and contrast.

    Images are never flipped, because captions may mention left and right. Hues are never changed, because captions may
    mention colours.

    Args:
        pixels: pixel values of the images, (n_images, 3, height, width) uint8.
        rng: random number generator.

    Returns:
        Augmented images, (n_images, 3, height, width) float32 in 0..1.
    """
    import torch
    from torch.nn.functional import affine_grid, grid_sample

    n = len(pixels)
    zoom = rng.uniform(*_ZOOM, size=(n, 2))
    shift = rng.uniform(-1, 1, size=(n, 2)) * (1 - zoom)
    crop = np.zeros((n, 2, 3), dtype=np.float32)
    crop[:, 0, 0], crop[:, 1, 1], crop[:, :, 2] = zoom[:, 0], zoom[:, 1], shift
    images = pixels.float() / 255
    grid = affine_grid(torch.from_numpy(crop), list(images.shape), align_corners=False)
    images = grid_sample(images, grid, padding_mode="border", align_corners=False)
    factors = rng.uniform(1 - _BRIGHTNESS, 1 + _BRIGHTNESS, size=(2, n, 1, 1, 1)).astype(np.float32)
    brightness, contrast = torch.from_numpy(factors)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    augmented: torch.Tensor = ((images - mean) * contrast + mean) * brightness
    return augmented.clamp(0, 1)


def normalise_pixels(model: Any, images: "torch.Tensor") -> "torch.Tensor":
    """Normalise images with the mean and the standard deviation that the model expects.

    Args:
        model: CLIP model of open_clip.
        images: images with values in 0..1, (n_images, 3, height, width).
    """
    import torch

    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (model.visual.image_mean, model.visual.image_std))
    return (images - mean) / std
