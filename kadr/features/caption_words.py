"""The words of captions: which of them a text has, and what share of a photo's captions has them."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from kadr.io.embeddings import Rows, Vectors

WordRows = np.ndarray[tuple[int, int], np.dtype[np.int64]]

N_WORDS = 1000  # the most frequent words of the captions are known
MIN_CAPTIONS = 8  # that have a word, below which nothing is learned of it
RAREST = 1e-3  # shares below are taken for it, so that no single word decides all
_WORD = re.compile(r"\w\w+")


@dataclass(frozen=True)
class Vocabulary:
    """The words that are looked for. Words of no meaning (English stop words) are not among them."""

    words: Sequence[str]

    @classmethod
    def of(cls, texts: Sequence[str]) -> "Vocabulary":
        """The N_WORDS words that most of the texts have, of those that at least MIN_CAPTIONS have."""
        counts = Counter(word for text in texts for word in _words(text))
        frequent = sorted((-count, word) for word, count in counts.items() if count >= MIN_CAPTIONS)
        return cls([word for _, word in frequent[:N_WORDS]])

    @cached_property
    def _number(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.words)}

    def rows(self, texts: Sequence[str]) -> WordRows:
        """The known words of each text, once each: (n_texts, most words of a text) int64, filled up with -1."""
        found = [sorted(self._number[word] for word in _words(text) if word in self._number) for text in texts]
        rows = np.full((len(found), max(map(len, found), default=0)), -1, dtype=np.int64)
        for row, numbers in zip(rows, found, strict=True):
            row[: len(numbers)] = numbers
        return rows

    def shares(self, texts: Sequence[str], starts: Rows) -> Vectors:
        """Share of each group's texts that have each word: (n_groups, n_words) float32.

        Args:
            texts: those of one group side by side.
            starts: (n_groups + 1,) first text of each group, and the number of texts.
        """
        counts = np.zeros((len(starts) - 1, len(self.words)), dtype=np.float32)
        group = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
        rows = self.rows(texts)
        text, place = np.nonzero(rows >= 0)
        np.add.at(counts, (group[text], rows[text, place]), 1.0)
        sizes = np.diff(starts)[:, None].astype(np.float32)
        return np.divide(counts, sizes, dtype=np.float32)


def lift(share: Vectors, usual: Vectors) -> Vectors:
    """The logarithm of how much more likely than usual a word is (pointwise mutual information; Church, Hanks 1990)."""
    return np.log(np.maximum(share, RAREST) / np.maximum(usual, RAREST)).astype(np.float32)


def _words(text: str) -> set[str]:
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    return {word for word in _WORD.findall(text.lower()) if word not in ENGLISH_STOP_WORDS}
