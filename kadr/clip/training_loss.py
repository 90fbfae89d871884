"""Compute the contrastive loss and the rating loss of a training batch."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from kadr.clip.caption_pairs import CaptionPairs, sample_batch
from kadr.clip.image_tensors import augment, normalise_pixels
from kadr.clip.losses import contrastive_loss, rating_loss
from kadr.clip.rated_pairs import ClipRatedPairs
from kadr.io.embeddings import Rows

if TYPE_CHECKING:
    import torch

_INITIAL_LOGIT_SCALE, _INITIAL_LOGIT_BIAS = 10.0, -5.0


@dataclass(frozen=True)
class TrainingLoss:
    """Compute the training loss of a batch, and store the logit scale and bias that are trained with the model.

    Attributes:
        pairs: captioned images.
        rated: rated pairs, or None to train only on captions.
        n_rated: number of rated images in a batch.
        logit_scale: learned factor that converts a cosine to a relevance logit. The factor is not part of the CLIP
            model.
        logit_bias: learned bias of the relevance logit. The bias is not part of the CLIP model.
    """

    pairs: CaptionPairs
    rated: ClipRatedPairs | None
    n_rated: int
    logit_scale: "torch.nn.Parameter"
    logit_bias: "torch.nn.Parameter"

    @classmethod
    def create(cls, model: Any, pairs: CaptionPairs, rated: ClipRatedPairs | None, batch_size: int) -> Self:
        """Create the training loss. Choose `n_rated` so that each rated image is sampled about once per epoch.

        Args:
            model: CLIP model of open_clip.
            pairs: captioned images.
            rated: rated pairs, or None to train only on captions.
            batch_size: number of captioned images in a batch, and maximum number of rated images in a batch.
        """
        import torch

        n_rated = min(batch_size, math.ceil(len(rated) / (len(pairs) // batch_size))) if rated else 0
        scale, bias = (
            torch.nn.Parameter(torch.tensor(value, device=model.logit_scale.device))
            for value in (_INITIAL_LOGIT_SCALE, _INITIAL_LOGIT_BIAS)
        )
        return cls(pairs, rated, n_rated, scale, bias)

    def compute(self, model: Any, rows: Rows, rng: np.random.Generator) -> "list[torch.Tensor]":
        """Compute the losses of one batch.

        Captioned images and rated images are encoded in one forward pass, because batch normalisation depends on all
        images of a batch.

        Args:
            model: CLIP model of open_clip.
            rows: rows of `pairs` with the images of the batch.
            rng: random number generator.

        Returns:
            List with the contrastive loss and, if there are rated images, the rating loss.
        """
        import torch

        device, rated = model.logit_scale.device, self.rated
        batch = sample_batch(self.pairs, rows, rng)
        pixels = batch.pixels
        if rated:
            rated_images, positions, pairs = rated.sample(self.n_rated, rng)
            pixels = torch.cat([pixels, rated.pixels[rated_images]])
        augmented = normalise_pixels(model, augment(pixels, rng)).to(device, memory_format=torch.channels_last)
        images = model.encode_image(augmented, normalize=True)
        texts = model.encode_text(batch.tokens.flatten(0, 1).to(device), normalize=True)
        texts = texts.unflatten(0, batch.tokens.shape[:2])
        false_negatives = batch.false_negatives.to(device)
        losses = [contrastive_loss(images[: len(rows)], texts, false_negatives, model.logit_scale.exp())]
        if rated:
            rated_texts = model.encode_text(rated.tokens[rated.text[pairs]].to(device), normalize=True)
            cosine = (images[len(rows) :][positions] * rated_texts).sum(dim=1)
            relevance, weight = rated.relevance[pairs].to(device), rated.weight[pairs].to(device)
            losses.append(rating_loss(cosine, relevance, weight, self.logit_scale, self.logit_bias))
        return losses
