"""The space of meaning: where captions of one photo, which say the same in other words, lie close together."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from kadr.errors import ModelError
from kadr.features.caption_neighbours import group_means, join_spaces, unit
from kadr.io.embeddings import Rows, Vectors

logger = logging.getLogger(__name__)

DIM = 256  # numbers that are kept of a text
SHRINKAGE = 2.0  # of the captions' mean variance, added to what varies within photos
WIDEST = 4096  # numbers of an encoder's vector; past it the scatter matrices would not fit


@dataclass(frozen=True)
class MeaningSpace:
    """A linear map from a text's vectors by all encoders to what captions of one photo agree on.

    Linear discriminant analysis with the photos as classes and a shrunken scatter within them (Fisher 1936; Friedman
    1989), every direction scaled to unit scatter within (Hatch et al. 2006), so that a cosine weighs what tells photos
    apart and not how somebody words it.

    Attributes:
        means: encoder -> (d,) the mean caption vector.
        map: (sum of d, DIM or less) float32, from the encoders' centred vectors side by side.
    """

    means: Mapping[str, Vectors]
    map: Vectors

    @classmethod
    def fit(cls, captions: Mapping[str, Vectors], starts: Rows) -> "MeaningSpace":
        """Learn from captions.

        Args:
            captions: encoder -> (n_captions, d), those of one photo side by side.
            starts: (n_photos + 1,) first caption of each photo, and the number of captions.

        Raises:
            ModelError: no encoder's vectors are WIDEST or shorter.
        """
        from scipy.linalg import eigh

        for name in (wide := [name for name, of in captions.items() if of.shape[1] > WIDEST]):
            logger.warning("encoder %s is left out of block captioned: more than %d numbers a text", name, WIDEST)
        means = {name: of.mean(axis=0) for name, of in captions.items() if name not in wide}
        if not means:
            raise ModelError(f"block captioned wants a text encoder of at most {WIDEST} numbers; set its dim")
        joined = _joined(captions, means).astype(np.float64)
        apart = joined - np.repeat(group_means(joined, starts), np.diff(starts), axis=0)
        within = apart.T @ apart / max(1, len(joined) - (len(starts) - 1))
        total = joined.T @ joined / len(joined)
        shrunken = within.copy()
        shrunken[np.diag_indices_from(shrunken)] += SHRINKAGE * max(np.trace(total) / len(total), 1e-12)
        d = len(total)
        _, directions = eigh(total - within, shrunken, subset_by_index=(max(0, d - DIM), d - 1))
        return cls(means, directions[:, ::-1].astype(np.float32))

    def of(self, vectors: Mapping[str, Vectors]) -> Vectors:
        """Texts, by all encoders, in this space: (n, DIM or less) float32, unit norm."""
        return unit(_joined(vectors, self.means) @ self.map)


def _joined(vectors: Mapping[str, Vectors], means: Mapping[str, Vectors]) -> Vectors:
    """Centred unit vectors, in which each encoder has the same say: (n, sum of d)."""
    centred = {name: unit(vectors[name] - mean) for name, mean in means.items()}
    return join_spaces(centred, list(means))
