"""Features of the block `caption_neighbours` that measure the similarity of texts and captions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kadr.features.caption_features import CaptionFeatures
from kadr.io.embeddings import Rows, Vectors

CaptionRows = npt.NDArray[np.int64]

N_NEIGHBOURS = (5, 20, 60)  # each k gives one feature neighbours.mean<k>
N_BEST = 10  # number of neighbours in the feature neighbours.best
_CHUNK_SIZE = 256  # number of texts compared at a time. Their similarities to 40,000 captions need 40 MB.


class CaptionSimilarity:
    """Compute the similarity features of image-text pairs.

    Args:
        fitted: models of the captioned corpus.
        image_vectors: (n_images, d_images) concatenated image vectors of all encoders, unit norm.
        text_vectors: (n_texts, k) projected text vectors, unit norm.
        prepared: arrays that `kadr.features.caption_neighbours.prepare_images` returned for the images.
    """

    NAMES = (
        *("linear", "linear.z_text", "linear.z_image", "kernel"),
        *(f"neighbours.mean{k}" for k in N_NEIGHBOURS),
        *("neighbours.best", "neighbours.attention"),
        *("neighbours.z", "neighbours.background", "reverse", "reverse.z"),
    )

    def __init__(
        self,
        fitted: CaptionFeatures,
        image_vectors: Vectors,
        text_vectors: Vectors,
        prepared: Mapping[str, npt.NDArray[Any]],
    ) -> None:
        corpus = fitted.corpus
        self._images, self._texts = image_vectors, text_vectors
        self._linear, self._kernel = (np.asarray(prepared[name], dtype=np.float32) for name in ("linear", "kernel"))
        self._neighbours, self._attention = prepared["neighbours"], prepared["attention"]
        self._best, nearest = compare_with_captions(
            text_vectors, fitted.caption_vectors, corpus.starts, N_NEIGHBOURS[-1]
        )
        self._neighbour_background = Background.measure(self._best[:, fitted.background_rows])
        self._linear_by_text = Background.measure(text_vectors @ fitted.background_predictions.T)
        self._linear_by_image = Background(prepared["linear_background"])
        self._reverse_by_image = Background(prepared["reverse_background"])
        self._reverse = np.stack([corpus.image_vectors[corpus.image_rows[rows]].mean(axis=0) for rows in nearest])

    def columns(self, image_rows: Rows, text_rows: Rows) -> list[Vectors]:
        """Return the features of n pairs: one (n_pairs,) array for each name in NAMES."""
        texts = self._texts[text_rows]
        linear = np.einsum("nd,nd->n", texts, self._linear[image_rows])
        kernel = np.einsum("nd,nd->n", texts, self._kernel[image_rows])
        best = self._best[text_rows[:, None], self._neighbours[image_rows]]
        means = [best[:, :k].mean(axis=1) for k in N_NEIGHBOURS]
        attention = np.einsum("nk,nk->n", best, self._attention[image_rows])
        reverse = np.einsum("nd,nd->n", self._reverse[text_rows], self._images[image_rows])
        return [
            *(linear, self._linear_by_text.z_score(linear, text_rows)),
            *(self._linear_by_image.z_score(linear, image_rows), kernel),
            *(*means, best[:, :N_BEST].max(axis=1), attention),
            *(self._neighbour_background.z_score(means[-1], text_rows), self._neighbour_background.mean[text_rows]),
            *(reverse, self._reverse_by_image.z_score(reverse, image_rows)),
        ]


@dataclass(frozen=True)
class Background:
    """Mean and standard deviation of the similarity of each item to a background sample.

    Attributes:
        moments: (n_items, 2) float32. Column 0 contains the means, and column 1 contains the standard deviations.
    """

    moments: Vectors

    @classmethod
    def measure(cls, similarity: Vectors) -> "Background":
        """Compute the mean and standard deviation of each row.

        Args:
            similarity: (n_items, n_background) similarity of each item to each background item.
        """
        return cls(np.stack([similarity.mean(axis=1), similarity.std(axis=1) + np.float32(1e-6)], axis=1))

    @property
    def mean(self) -> Vectors:
        """Mean similarity of each item to the background sample: (n_items,)."""
        return self.moments[:, 0]

    def z_score(self, values: Vectors, rows: Rows) -> Vectors:
        """Return the z-score of the similarity of each pair.

        Args:
            values: (n_pairs,) similarity of each pair.
            rows: (n_pairs,) index of the item whose mean and standard deviation are used.

        Returns:
            (n_pairs,) float32.
        """
        return np.asarray((values - self.moments[rows, 0]) / self.moments[rows, 1], dtype=np.float32)


def compare_with_captions(texts: Vectors, captions: Vectors, starts: Rows, k: int) -> tuple[Vectors, CaptionRows]:
    """Compare each text with all captions.

    For each text, find the most similar caption of each image, and the k nearest captions of the whole corpus.

    Args:
        texts: (n_texts, d) text vectors, unit norm.
        captions: (n_captions, d) caption vectors, unit norm. Captions of the same image are adjacent.
        starts: (n_images + 1,) index of the first caption of each image, followed by n_captions.
        k: number of nearest captions. If it exceeds n_captions, all captions are returned.

    Returns:
        Two arrays. The first contains the similarity of each text to the most similar caption of each image,
        (n_texts, n_images) float32. The second contains the indices of the k captions nearest to each text,
        (n_texts, k) int64, unordered.
    """
    k = min(k, len(captions))
    best = np.empty((len(texts), len(starts) - 1), dtype=np.float32)
    nearest = np.empty((len(texts), k), dtype=np.int64)
    for start in range(0, len(texts), _CHUNK_SIZE):
        rows = slice(start, start + _CHUNK_SIZE)
        similarity = texts[rows] @ captions.T
        np.maximum.reduceat(similarity, starts[:-1], axis=1, out=best[rows])
        nearest[rows] = np.argpartition(similarity, -k, axis=1)[:, -k:]
    return best, nearest
