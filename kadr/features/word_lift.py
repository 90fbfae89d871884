"""Features of the block `caption_neighbours` that compare a text with the words predicted for an image."""

from typing import Any

import numpy as np
import numpy.typing as npt

from kadr.features.caption_features import CaptionFeatures
from kadr.features.inputs import Texts
from kadr.features.vocabulary import lift
from kadr.io.embeddings import Rows, Vectors


class WordLift:
    """Compute the word features of image-text pairs.

    Args:
        fitted: models of the captioned corpus.
        texts: texts of the pairs.
        shares: (n_images, n_words) predicted share of an image's captions that contain a vocabulary word.
    """

    NAMES = ("words.share", "words.lift", "words.min_lift", "words.n")

    def __init__(self, fitted: CaptionFeatures, texts: Texts, shares: npt.NDArray[Any]) -> None:
        self._word_rows = fitted.vocabulary.word_rows(texts.texts)
        self._shares, self._mean_shares = shares, fitted.mean_shares

    def columns(self, image_rows: Rows, text_rows: Rows) -> list[Vectors]:
        """Return the features of n pairs: one (n_pairs,) array for each name in NAMES.

        All features are 0 if the text contains no vocabulary word.
        """
        words = self._word_rows[text_rows]
        in_text = words >= 0
        n_words = in_text.sum(axis=1).astype(np.float32)
        shares = self._shares[image_rows[:, None], words].astype(np.float32)
        lifts = lift(shares, self._mean_shares[words])
        min_lift = np.where(in_text, lifts, np.inf).min(axis=1, initial=np.inf)
        means = [
            np.where(in_text, values, 0).sum(axis=1, dtype=np.float32) / np.maximum(n_words, 1)
            for values in (shares, lifts)
        ]
        return [*means, np.where(n_words > 0, min_lift, 0).astype(np.float32), n_words]
