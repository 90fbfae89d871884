"""The clip part's rated pairs: how well a text fits a photo, learned beside the captions.

The loss is SigLIP's (Zhai et al. 2023, arXiv:2303.15343), with the relevance in place of yes or no.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from PIL import Image

from kadr.clip.caption_pairs import read_pixels
from kadr.io.embeddings import Rows
from kadr.io.texts import normalise_text

if TYPE_CHECKING:
    import torch

PAIRS_PER_PHOTO = 8  # of a step at most, by lot


@dataclass(frozen=True)
class Rated:
    """Rated pairs of photos and texts, those of one photo side by side.

    Attributes:
        pixels: (n_photos, 3, height, width) uint8, resized as the model wants it.
        tokens: (n_texts, context) int64.
        starts: (n_photos + 1,) first pair of each photo, and the number of pairs.
        text: (n_pairs,) row in `tokens`.
        relevance: (n_pairs,) float32 in 0..1.
        weight: (n_pairs,) float32 > 0.
    """

    pixels: "torch.Tensor"
    tokens: "torch.Tensor"
    starts: Rows
    text: Rows
    relevance: "torch.Tensor"
    weight: "torch.Tensor"

    def __len__(self) -> int:
        return len(self.starts) - 1

    def draw(self, n_photos: int, rng: np.random.Generator) -> tuple[Rows, Rows, Rows]:
        """A step's pairs by lot.

        Returns:
            The photos (n_photos,); and of m of their pairs the photo's place among those (m,) and the row (m,).
        """
        photos = rng.choice(len(self), n_photos, replace=False)
        of_photo = [np.arange(self.starts[photo], self.starts[photo + 1]) for photo in photos]
        drawn = [rng.choice(rows, min(PAIRS_PER_PHOTO, len(rows)), replace=False) for rows in of_photo]
        return photos, np.repeat(np.arange(len(photos)), [len(rows) for rows in drawn]), np.concatenate(drawn)


def read_rated(
    pairs: pa.Table,
    resize: Callable[[Image.Image], "torch.Tensor"],
    tokenize: Callable[[list[str]], "torch.Tensor"],
) -> Rated | None:
    """Decode the photos of a CLIP_PAIRS table and tokenize its texts; None where it is empty.

    Raises:
        InputError: where a photo cannot be read.
    """
    import torch

    if not len(pairs):
        return None
    table = pairs.sort_by([("image_id", "ascending"), ("query_id", "ascending")]).to_pandas()
    photos = table.drop_duplicates("image_id")
    texts, text = np.unique([normalise_text(one) for one in table["text"]], return_inverse=True)
    relevance, weight = (torch.tensor(table[name].to_numpy(), dtype=torch.float32) for name in ("relevance", "weight"))
    pixels = read_pixels("decode rated photos", photos.to_dict("records"), resize)
    return Rated(pixels, tokenize(texts.tolist()), np.append(photos.index, len(table)), text, relevance, weight)


def rating_loss(
    cosine: "torch.Tensor",
    relevance: "torch.Tensor",
    weight: "torch.Tensor",
    scale: "torch.Tensor",
    bias: "torch.Tensor",
) -> "torch.Tensor":
    """Weighted mean cross-entropy between the relevance and the sigmoid of `scale * cosine + bias`.

    Args:
        cosine: (m,) of photos and texts.
        relevance: (m,) in 0..1.
        weight: (m,) > 0.
        scale: a number.
        bias: a number.
    """
    from torch.nn.functional import binary_cross_entropy_with_logits

    loss = binary_cross_entropy_with_logits(scale * cosine + bias, relevance, weight=weight, reduction="sum")
    return loss / weight.sum()
