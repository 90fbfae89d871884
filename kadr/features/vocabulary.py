"""The vocabulary of the captions, and the lift of its words."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from kadr.io.embeddings import Rows, Vectors

if TYPE_CHECKING:
    from sklearn.feature_extraction.text import CountVectorizer

WordRows = np.ndarray[tuple[int, int], np.dtype[np.int64]]

MAX_WORDS = 1000
MIN_CAPTIONS = 8  # words in fewer captions are not added to the vocabulary
MIN_SHARE = 1e-3  # smaller shares are raised to this value, so that rare words do not dominate the lift
_WORD_PATTERN = r"\w\w+"


@dataclass(frozen=True)
class Vocabulary:
    """The most frequent words of the captions, without English stop words.

    Attributes:
        words: vocabulary words, most frequent first.
    """

    words: Sequence[str]

    @classmethod
    def fit(cls, texts: Sequence[str]) -> "Vocabulary":
        """Select the MAX_WORDS words that occur in the most texts.

        Words that occur in fewer than MIN_CAPTIONS texts are not selected.
        """
        vectorizer = _word_vectorizer()
        try:
            counts = vectorizer.fit_transform(texts).sum(axis=0).A1
        except ValueError:  # no text contains a word
            return cls([])
        by_word = zip(vectorizer.get_feature_names_out().tolist(), counts.tolist(), strict=True)
        frequent = sorted((-count, word) for word, count in by_word if count >= MIN_CAPTIONS)
        return cls([word for _, word in frequent[:MAX_WORDS]])

    @cached_property
    def _vectorizer(self) -> "CountVectorizer":
        return _word_vectorizer(vocabulary=self.words)

    def word_rows(self, texts: Sequence[str]) -> WordRows:
        """Find the vocabulary words of each text. A repeated word is listed once.

        Returns:
            (n_texts, max_words) int64 indices of words in `words`, ascending in each row. Shorter rows are padded with
            -1 at the end. max_words is the largest number of vocabulary words in a text.
        """
        if not self.words or not texts:
            return np.full((len(texts), 0), -1, dtype=np.int64)
        occurrences = self._vectorizer.transform(texts)
        n_words = np.diff(occurrences.indptr)
        rows = np.full((len(texts), n_words.max()), -1, dtype=np.int64)
        rows[np.arange(rows.shape[1]) < n_words[:, None]] = occurrences.indices
        return rows

    def shares(self, texts: Sequence[str], starts: Rows) -> Vectors:
        """For each group of texts, return the share of texts that contain each vocabulary word.

        Args:
            texts: n_texts texts. Texts of the same group are adjacent.
            starts: (n_groups + 1,) index of the first text of each group, followed by n_texts.

        Returns:
            (n_groups, n_words) float32 in 0..1.
        """
        counts = np.zeros((len(starts) - 1, len(self.words)), dtype=np.float32)
        group = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
        rows = self.word_rows(texts)
        text, position = np.nonzero(rows >= 0)
        np.add.at(counts, (group[text], rows[text, position]), 1.0)
        sizes = np.diff(starts)[:, None].astype(np.float32)
        return np.divide(counts, sizes, dtype=np.float32)


def lift(share: Vectors, mean_share: Vectors) -> Vectors:
    """Return the lift of words: log(share / mean_share), the pointwise mutual information (Church and Hanks 1990).

    Args:
        share: predicted share of an image's captions that contain a word, in an array of any shape.
        mean_share: mean of this share over all images of the corpus, in an array of the same shape.
    """
    return np.log(np.maximum(share, MIN_SHARE) / np.maximum(mean_share, MIN_SHARE)).astype(np.float32)


def _word_vectorizer(**options: Any) -> "CountVectorizer":
    """Return a vectorizer for lower-case words of two or more characters, without English stop words."""
    from sklearn.feature_extraction.text import CountVectorizer

    return CountVectorizer(binary=True, stop_words="english", token_pattern=_WORD_PATTERN, **options)
