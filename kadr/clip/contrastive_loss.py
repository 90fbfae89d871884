"""The clip part's learning step: what a batch is, how its photos are varied, and its contrastive loss.

The loss is CLIP's (Radford et al. 2021, arXiv:2103.00020), over several captions of each photo at once.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from kadr.clip.caption_pairs import NO_CAPTION, Pairs

if TYPE_CHECKING:
    import torch

TEXTS_PER_PHOTO = 2
"""Captions of each photo in a step: the photos' pass costs most, so each is told more than once."""

_ZOOM = (0.84, 1.0)
_LIGHT = 0.12


@dataclass(frozen=True)
class Batch:
    """One step's photos and texts.

    Attributes:
        pixels: (b, 3, height, width) uint8.
        tokens: (TEXTS_PER_PHOTO, b, context) int64; tokens[k, i] is a caption of photo i.
        also_true: (TEXTS_PER_PHOTO, b, b) bool; [k, i, j] where caption j is another photo's and yet one of photo i's.
    """

    pixels: "torch.Tensor"
    tokens: "torch.Tensor"
    also_true: "torch.Tensor"


def draw_batch(pairs: Pairs, rows: npt.NDArray[np.int64], rng: np.random.Generator) -> Batch:
    """The photos `rows` of `pairs` with captions by lot; a photo with one caption only has it in every place."""
    import torch

    captions = pairs.captions[rows]
    count = (captions != NO_CAPTION).sum(axis=1)
    first = rng.integers(count)
    places = (first + np.arange(TEXTS_PER_PHOTO)[:, None]) % count
    texts = captions[np.arange(len(rows)), places]
    also_true = (captions[None, :, :, None] == texts[:, None, None, :]).any(axis=2)
    also_true &= ~np.eye(len(rows), dtype=bool)
    return Batch(pairs.pixels[rows], pairs.tokens[texts], torch.from_numpy(also_true))


def vary(pixels: "torch.Tensor", rng: np.random.Generator) -> "torch.Tensor":
    """Photos with a random cut and a little more or less light and contrast: (b, 3, h, w) float32 in 0..1.

    Never mirrored, since captions say left and right; never tinted, since they name colours.
    """
    import torch
    from torch.nn.functional import affine_grid, grid_sample

    n = len(pixels)
    zoom = rng.uniform(*_ZOOM, size=(n, 2))
    shift = rng.uniform(-1, 1, size=(n, 2)) * (1 - zoom)
    cut = np.zeros((n, 2, 3), dtype=np.float32)
    cut[:, 0, 0], cut[:, 1, 1], cut[:, :, 2] = zoom[:, 0], zoom[:, 1], shift
    photos = pixels.float() / 255
    grid = affine_grid(torch.from_numpy(cut), list(photos.shape), align_corners=False)
    photos = grid_sample(photos, grid, padding_mode="border", align_corners=False)
    light, contrast = torch.from_numpy(rng.uniform(1 - _LIGHT, 1 + _LIGHT, size=(2, n, 1, 1, 1)).astype(np.float32))
    middle = photos.mean(dim=(1, 2, 3), keepdim=True)
    varied: torch.Tensor = ((photos - middle) * contrast + middle) * light
    return varied.clamp(0, 1)


def contrastive_loss(
    images: "torch.Tensor", texts: "torch.Tensor", also_true: "torch.Tensor", scale: "torch.Tensor"
) -> "torch.Tensor":
    """CLIP's loss, where captions that are also true of another photo count neither for nor against it.

    Args:
        images: (b, d) unit norm.
        texts: (k, b, d) unit norm.
        also_true: (k, b, b) bool.
        scale: the inverse temperature.
    """
    import torch
    from torch.nn.functional import cross_entropy

    logits = scale * torch.einsum("id,kjd->kij", images, texts)
    logits = logits.masked_fill(also_true, float("-inf"))
    k, b = logits.shape[:2]
    own = torch.arange(b, device=logits.device).repeat(k)
    by_image = cross_entropy(logits.reshape(k * b, b), own)
    by_text = cross_entropy(logits.transpose(1, 2).reshape(k * b, b), own)
    return (by_image + by_text) / 2
