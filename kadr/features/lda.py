"""Linear discriminant analysis (LDA) of captions, with the images as classes."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from kadr.errors import ModelError
from kadr.features.vector_math import concatenate_encoders, group_means, normalise_rows
from kadr.io.embeddings import Rows, Vectors

logger = logging.getLogger(__name__)

N_COMPONENTS = 256  # maximum number of dimensions of a projected text
SHRINKAGE = 2.0  # factor of the mean caption variance, which is added to the diagonal of the within-image scatter
MAX_ENCODER_DIM = 4096  # wider vectors need too much memory, because scatter matrices grow quadratically


@dataclass(frozen=True)
class CaptionLda:
    """A linear projection of text vectors that brings captions of the same image closer together.

    Each image is a class (Fisher 1936). The within-class scatter is shrunk towards a multiple of the identity (Friedman
    1989). Each direction is scaled to unit within-class scatter (Hatch et al. 2006). As a result, the cosine similarity
    of two projected texts depends more on their content than on their wording.

    Attributes:
        means: (d,) mean caption vector of each encoder, by encoder name.
        projection: (d_texts, n_components) float32. The projection is applied to the centred and concatenated text
            vectors of all encoders.
    """

    means: Mapping[str, Vectors]
    projection: Vectors

    @classmethod
    def fit(cls, captions: Mapping[str, Vectors], starts: Rows) -> "CaptionLda":
        """Fit the projection to the captions of a corpus.

        An encoder with more than MAX_ENCODER_DIM dimensions is ignored, and a warning is logged.

        Args:
            captions: (n_captions, d) float32 caption vectors of each encoder, by encoder name. Captions of the same
                image are adjacent.
            starts: (n_images + 1,) index of the first caption of each image, followed by n_captions.

        Raises:
            ModelError: all encoders have more than MAX_ENCODER_DIM dimensions.
        """
        from scipy.linalg import eigh

        for name in (wide := [name for name, vectors in captions.items() if vectors.shape[1] > MAX_ENCODER_DIM]):
            logger.warning(
                "The block caption_neighbours ignores encoder %s because its vectors have more than %d dimensions.",
                name,
                MAX_ENCODER_DIM,
            )
        means = {name: vectors.mean(axis=0) for name, vectors in captions.items() if name not in wide}
        if not means:
            raise ModelError(
                f"The block caption_neighbours requires a text encoder with at most {MAX_ENCODER_DIM} dimensions, but "
                "all text encoders have more. Set `dim` of a tfidf encoder in embed_texts.encoders, or add another "
                "text encoder."
            )
        joined = _centre_and_concatenate(captions, means).astype(np.float64)
        residuals = joined - np.repeat(group_means(joined, starts), np.diff(starts), axis=0)
        within = residuals.T @ residuals / max(1, len(joined) - (len(starts) - 1))
        total = joined.T @ joined / len(joined)
        shrunken = within.copy()
        shrunken[np.diag_indices_from(shrunken)] += SHRINKAGE * max(np.trace(total) / len(total), 1e-12)
        dim = len(total)
        _, directions = eigh(total - within, shrunken, subset_by_index=(max(0, dim - N_COMPONENTS), dim - 1))
        return cls(means, directions[:, ::-1].astype(np.float32))

    def transform(self, vectors: Mapping[str, Vectors]) -> Vectors:
        """Project text vectors.

        Args:
            vectors: (n_texts, d) float32 text vectors of each encoder, by encoder name, with unit norm.

        Returns:
            (n_texts, n_components) float32, unit norm.
        """
        return normalise_rows(_centre_and_concatenate(vectors, self.means) @ self.projection)


def _centre_and_concatenate(vectors: Mapping[str, Vectors], means: Mapping[str, Vectors]) -> Vectors:
    """Centre the vectors of each encoder, scale them to unit norm, and concatenate them: (n, d_texts)."""
    centred = {name: normalise_rows(vectors[name] - mean) for name, mean in means.items()}
    return concatenate_encoders(centred, list(means))
