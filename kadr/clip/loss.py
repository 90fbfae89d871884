"""The clip part's lesson: what the steps of a training learn from, and the losses of one step."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from kadr.clip.caption_pairs import Pairs
from kadr.clip.contrastive_loss import contrastive_loss, draw_batch, vary
from kadr.clip.rated_pairs import Rated, rating_loss
from kadr.io.embeddings import Rows

if TYPE_CHECKING:
    import torch

_FIRST_SCALE, _FIRST_BIAS = 10.0, -5.0


@dataclass(frozen=True)
class Lesson:
    """What a training learns from.

    Attributes:
        pairs: photos and captions.
        rated: photos, texts and how well they fit; None for none.
        n_rated: rated photos of a step.
        line: scale and bias that turn a cosine into the logit of a relevance; learned, and forgotten at the end.
    """

    pairs: Pairs
    rated: Rated | None
    n_rated: int
    line: "list[torch.nn.Parameter]"

    @classmethod
    def of(cls, model: Any, pairs: Pairs, rated: Rated | None, size: int) -> Self:
        """A lesson in batches of `size` captioned photos, in which a rated photo is drawn once an epoch on average."""
        import torch

        n_rated = min(size, math.ceil(len(rated) / (len(pairs) // size))) if rated else 0
        first = (torch.tensor(number, device=model.logit_scale.device) for number in (_FIRST_SCALE, _FIRST_BIAS))
        return cls(pairs, rated, n_rated, [torch.nn.Parameter(number) for number in first])

    def losses(self, model: Any, rows: Rows, rng: np.random.Generator) -> "list[torch.Tensor]":
        """A step's losses: of the captions of the photos `rows`, and of rated photos where there are any.

        All photos pass the model together, as batch norms learn their statistics from what passes.
        """
        import torch

        device, rated = model.logit_scale.device, self.rated
        batch = draw_batch(self.pairs, rows, rng)
        pixels = batch.pixels
        if rated:
            photos, place, of = rated.draw(self.n_rated, rng)
            pixels = torch.cat([pixels, rated.pixels[photos]])
        varied = normalised(model, vary(pixels, rng)).to(device, memory_format=torch.channels_last)
        images = model.encode_image(varied, normalize=True)
        texts = model.encode_text(batch.tokens.flatten(0, 1).to(device), normalize=True)
        texts = texts.unflatten(0, batch.tokens.shape[:2])
        losses = [contrastive_loss(images[: len(rows)], texts, batch.also_true.to(device), model.logit_scale.exp())]
        if rated:
            said = model.encode_text(rated.tokens[rated.text[of]].to(device), normalize=True)
            cosine = (images[len(rows) :][place] * said).sum(dim=1)
            losses.append(rating_loss(cosine, rated.relevance[of].to(device), rated.weight[of].to(device), *self.line))
        return losses


def normalised(model: Any, photos: "torch.Tensor") -> "torch.Tensor":
    """(b, 3, h, w) in 0..1 to what the model's preprocessing hands it."""
    import torch

    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (model.visual.image_mean, model.visual.image_std))
    return (photos - mean) / std
