"""Read captioned images for CLIP training, and sample batches of images and captions."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from PIL import Image

from kadr.clip.image_tensors import read_pixels
from kadr.errors import InputError
from kadr.io.embeddings import Rows
from kadr.io.image_decoding import DEFAULT_LIMITS
from kadr.params import DecodingParams

if TYPE_CHECKING:
    import torch

NO_CAPTION = -1

CAPTIONS_PER_IMAGE = 2
"""Number of captions per image in a batch. Each image is encoded once for all its captions."""


@dataclass(frozen=True)
class CaptionPairs:
    """Images and their captions. Every image has at least one caption.

    Attributes:
        pixels: images of the model's input size, (n_images, 3, height, width) uint8.
        tokens: token IDs of the distinct captions, (n_captions, context_length) int64.
        captions: rows of `tokens` with the captions of each image, (n_images, max_captions) int64. Images with fewer
            than max_captions captions are padded with NO_CAPTION.
    """

    pixels: "torch.Tensor"
    tokens: "torch.Tensor"
    captions: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.captions)

    def select(self, rows: Rows) -> "CaptionPairs":
        """Return the images in `rows` and their captions. The tokens are not copied."""
        return CaptionPairs(self.pixels[rows], self.tokens, self.captions[rows])


@dataclass(frozen=True)
class CaptionBatch:
    """A batch of images and captions.

    Attributes:
        pixels: images of the batch, (n_images, 3, height, width) uint8.
        tokens: token IDs, (CAPTIONS_PER_IMAGE, n_images, context_length) int64. `tokens[k, i]` is a caption of image i.
        false_negatives: bool mask, (CAPTIONS_PER_IMAGE, n_images, n_images). `false_negatives[k, i, j]` is True if i
            and j are different images, and the caption `tokens[k, j]` of image j is also a caption of image i.
    """

    pixels: "torch.Tensor"
    tokens: "torch.Tensor"
    false_negatives: "torch.Tensor"


def read_caption_pairs(
    corpus: pa.Table,
    captions: pa.Table,
    resize: Callable[[Image.Image], "torch.Tensor"],
    tokenize: Callable[[list[str]], "torch.Tensor"],
    decoding: DecodingParams = DEFAULT_LIMITS,
) -> CaptionPairs:
    """Decode all valid images that have captions, and tokenize the captions. The images are sorted by ID.

    Args:
        corpus: captioned images, in the schema IMAGES.
        captions: captions of the images, in the schema CAPTIONS.
        resize: function that converts an image to a tensor (3, height, width), float32 in 0..1.
        tokenize: function that converts texts to token IDs, (n_texts, context_length) int64.
        decoding: settings of the image decoder.

    Raises:
        InputError: no image has a caption, or an image cannot be read.
    """
    texts_by_image: dict[str, list[str]] = {}
    for caption in captions.sort_by("caption_id").to_pylist():
        texts_by_image.setdefault(caption["image_id"], []).append(" ".join(caption["text"].split()))
    rows = corpus.sort_by("image_id").to_pylist()
    images = [row for row in rows if row["status"] == "ok" and row["image_id"] in texts_by_image]
    if not images:
        raise InputError(
            "clip.source: train needs captioned images, but the dataset contains no captions. "
            "Set ingest.corpus, or set clip.source to local or hub."
        )
    texts = sorted({text for image in images for text in texts_by_image[image["image_id"]]})
    row_by_text = {text: row for row, text in enumerate(texts)}
    rows_by_image = [sorted({row_by_text[text] for text in texts_by_image[image["image_id"]]}) for image in images]
    return CaptionPairs(
        read_pixels("decode captioned images", images, resize, decoding), tokenize(texts), _pad(rows_by_image)
    )


def sample_batch(pairs: CaptionPairs, rows: Rows, rng: np.random.Generator) -> CaptionBatch:
    """Sample captions for the images of a batch.

    If an image has fewer than CAPTIONS_PER_IMAGE captions, some of its captions are repeated.

    Args:
        pairs: all captioned images.
        rows: rows of `pairs` with the images of the batch.
        rng: random number generator.
    """
    import torch

    captions = pairs.captions[rows]
    count = (captions != NO_CAPTION).sum(axis=1)
    first = rng.integers(count)
    columns = (first + np.arange(CAPTIONS_PER_IMAGE)[:, None]) % count
    texts = captions[np.arange(len(rows)), columns]
    false_negatives = (captions[None, :, :, None] == texts[:, None, None, :]).any(axis=2)
    false_negatives &= ~np.eye(len(rows), dtype=bool)
    return CaptionBatch(pairs.pixels[rows], pairs.tokens[texts], torch.from_numpy(false_negatives))


def _pad(rows: list[list[int]]) -> npt.NDArray[np.int64]:
    padded = np.full((len(rows), max(map(len, rows))), NO_CAPTION, dtype=np.int64)
    for image, captions in enumerate(rows):
        padded[image, : len(captions)] = captions
    return padded
