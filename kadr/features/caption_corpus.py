"""The captioned corpus: images without ratings, and captions that describe these images."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from kadr.features.inputs import Images, Texts
from kadr.features.vector_math import concatenate_encoders
from kadr.io.embeddings import Embeddings, Rows, Vectors, evenly_spaced_rows


@dataclass(frozen=True)
class CaptionedCorpus:
    """Images and the captions that describe them.

    Attributes:
        images: the n_images images of the corpus.
        captions: the n_captions captions of the corpus. Captions of the same image are adjacent.
        image_rows: (n_captions,) int64, ascending. Index of each caption's image in `images`.
    """

    images: Images
    captions: Texts
    image_rows: Rows

    @classmethod
    def select(
        cls, images: Mapping[str, Embeddings], texts: Mapping[str, Embeddings], captions: pd.DataFrame, limit: int
    ) -> "CaptionedCorpus":
        """Build the corpus from a captions table.

        Args:
            images: embeddings table of the images for each image encoder, by encoder name.
            texts: embeddings table of the captions for each text encoder, by encoder name.
            captions: table with the CAPTIONS schema.
            limit: maximum number of images, which limits the memory and time needed for fitting. If the table has more
                images, evenly spaced images are selected from the sorted image IDs.
        """
        all_ids = np.unique(captions["image_id"].to_numpy(dtype=str))
        image_ids = all_ids[evenly_spaced_rows(len(all_ids), limit)]
        selected = captions[captions["image_id"].isin(image_ids)].sort_values(["image_id", "caption_id"])
        image_rows = np.searchsorted(image_ids, selected["image_id"].to_numpy(dtype=str))
        texts_by_id = dict(zip(selected["caption_id"], selected["text"], strict=True))
        images, texts = (
            dict(sorted(images.items())),
            dict(sorted(texts.items())),
        )  # the order of a loaded corpus
        return cls(Images.select(images, image_ids.tolist()), Texts.select(texts, texts_by_id), image_rows)

    @cached_property
    def image_vectors(self) -> Vectors:
        """Concatenated image vectors of all encoders: (n_images, d_images) float32, unit norm."""
        return concatenate_encoders(self.images.vectors, list(self.images.vectors))

    @cached_property
    def mean_image_vector(self) -> Vectors:
        """Mean of `image_vectors` over all images: (d_images,) float32."""
        mean: Vectors = self.image_vectors.mean(axis=0)
        return mean

    @cached_property
    def starts(self) -> Rows:
        """Index of the first caption of each image, followed by n_captions: (n_images + 1,) int64."""
        return np.searchsorted(self.image_rows, np.arange(len(self.images.ids) + 1))
