"""Read rated pairs of images and texts for CLIP training, and sample batches of rated pairs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from PIL import Image

from kadr.clip.image_tensors import read_pixels
from kadr.io.embeddings import Rows
from kadr.io.image_decoding import DEFAULT_LIMITS
from kadr.io.texts import normalise_text
from kadr.params import DecodingParams

if TYPE_CHECKING:
    import torch

MAX_PAIRS_PER_IMAGE = 8
"""Maximum number of pairs per image in a batch."""


@dataclass(frozen=True)
class ClipRatedPairs:
    """Rated pairs of images and texts, grouped by image.

    Attributes:
        pixels: images of the model's input size, (n_images, 3, height, width) uint8.
        tokens: token IDs of the texts, (n_texts, context_length) int64.
        starts: row of the first pair of each image, followed by the total number of pairs, (n_images + 1,).
        text: row of `tokens` with the text of each pair, (n_pairs,).
        relevance: rated relevance of each pair, (n_pairs,) float32 in 0..1.
        weight: positive weight of each pair, (n_pairs,) float32.
    """

    pixels: "torch.Tensor"
    tokens: "torch.Tensor"
    starts: Rows
    text: Rows
    relevance: "torch.Tensor"
    weight: "torch.Tensor"

    def __len__(self) -> int:
        return len(self.starts) - 1

    def sample(self, n_images: int, rng: np.random.Generator) -> tuple[Rows, Rows, Rows]:
        """Sample images, and up to MAX_PAIRS_PER_IMAGE pairs of each image.

        Args:
            n_images: number of images to sample.
            rng: random number generator.

        Returns:
            images: rows of `pixels` with the sampled images, (n_images,).
            positions: position in `images` of the image of each sampled pair, (n,).
            pairs: rows of the sampled pairs, (n,).
        """
        images = rng.choice(len(self), n_images, replace=False)
        rows_by_image = [np.arange(self.starts[image], self.starts[image + 1]) for image in images]
        sampled = [rng.choice(rows, min(MAX_PAIRS_PER_IMAGE, len(rows)), replace=False) for rows in rows_by_image]
        positions = np.repeat(np.arange(len(images)), [len(rows) for rows in sampled])
        return images, positions, np.concatenate(sampled)


def read_clip_rated_pairs(
    pairs: pa.Table,
    resize: Callable[[Image.Image], "torch.Tensor"],
    tokenize: Callable[[list[str]], "torch.Tensor"],
    decoding: DecodingParams = DEFAULT_LIMITS,
) -> ClipRatedPairs | None:
    """Decode the images of rated pairs, and tokenize their texts.

    Args:
        pairs: rated pairs, in the schema CLIP_PAIRS.
        resize: function that converts an image to a tensor (3, height, width), float32 in 0..1.
        tokenize: function that converts texts to token IDs, (n_texts, context_length) int64.
        decoding: settings of the image decoder.

    Returns:
        The rated pairs, or None if the table is empty.

    Raises:
        InputError: an image cannot be read.
    """
    import torch

    if not len(pairs):
        return None
    table = pairs.sort_by([("image_id", "ascending"), ("query_id", "ascending")]).to_pandas()
    images = table.drop_duplicates("image_id")
    texts, text_rows = np.unique([normalise_text(text) for text in table["text"]], return_inverse=True)
    relevance, weight = (torch.tensor(table[name].to_numpy(), dtype=torch.float32) for name in ("relevance", "weight"))
    pixels = read_pixels("decode rated images", images.to_dict("records"), resize, decoding)
    starts = np.append(images.index, len(table))
    return ClipRatedPairs(pixels, tokenize(texts.tolist()), starts, text_rows, relevance, weight)
