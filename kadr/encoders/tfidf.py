"""The encoder by TF-IDF: words and their sequences, weighed by rarity, reduced by a truncated SVD.

A text in which no known word stands has a vector of its own: the last number is 1 for it and 0 for all others, so it is
of unit norm, like nothing that has known words, and like every other text without any.
"""

import hashlib
from collections.abc import Sequence
from copy import copy
from pathlib import Path
from pickle import PickleError
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from kadr.encoders.base import Identity, TextEncoder
from kadr.encoders.tokens import Words
from kadr.errors import EncoderError
from kadr.io.embeddings import Vectors
from kadr.params import Precision, TfidfParams

MODEL_NAME = "tfidf.joblib"
_NOTHING = 1e-6
_UNREADABLE = (OSError, ValueError, LookupError, AttributeError, TypeError, EOFError, ImportError)


class TfidfEncoder(TextEncoder):
    """TF-IDF of word n-grams.

    Args:
        words: what becomes of a text's words before they are counted.
        vectorizer: what was fitted: the vocabulary and its weights.
        components: (vocabulary, d - 1), the directions that are kept; None keeps the vocabulary's own.
    """

    def __init__(self, words: Words, vectorizer: Any, components: npt.NDArray[np.float32] | None) -> None:
        self._words = words
        self._vectorizer = vectorizer
        self._components = components
        self.dim = 1 + (len(vectorizer.vocabulary_) if components is None else components.shape[1])
        described = f"lower case, words and sequences of up to {vectorizer.ngram_range[1]}"
        self.identity = Identity(
            encoder="tfidf",
            architecture="tfidf",
            weights_sha256=_sha256(vectorizer, components),
            preprocessing=", ".join(filter(None, (described, words.description))),
            precision="fp32",
        )

    @classmethod
    def fit(cls, spec: TfidfParams, precision: Precision, texts: Sequence[str], seed: int) -> Self:
        """Fit on the training texts; vectors have at most `spec.dim` numbers, fewer where the vocabulary is smaller.

        Raises:
            EncoderError: where the texts have no word.
        """
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import TfidfVectorizer

        words = Words(spec.words, spec.language, spec.stop_words)
        vectorizer = TfidfVectorizer(
            max_features=spec.max_features, ngram_range=(1, spec.ngram_max), sublinear_tf=True, dtype=np.float32
        )
        try:
            weights = vectorizer.fit_transform(words.prepare(sorted(set(texts))))
        except ValueError as error:
            raise EncoderError(
                f"tfidf: the {len(texts)} training texts hold no word ({error}); give training queries, or captions"
            ) from error
        if spec.dim is None or weights.shape[1] <= max(1, spec.dim - 1):
            return cls(words, vectorizer, None)
        svd = TruncatedSVD(n_components=max(1, spec.dim - 1), random_state=seed).fit(weights)
        return cls(words, vectorizer, np.ascontiguousarray(svd.components_.T, dtype=np.float32))

    @classmethod
    def load(cls, spec: TfidfParams, precision: Precision, folder: Path) -> Self:
        """What `save` wrote to `folder`. Raises EncoderError."""
        import joblib

        path = folder / MODEL_NAME
        try:
            return cls(*joblib.load(path))
        except FileNotFoundError as error:
            raise EncoderError(f"{path}: no such file; run `dvc repro embed_texts` to fit it") from error
        except (*_UNREADABLE, PickleError) as error:
            raise EncoderError(f"{path} cannot be read ({error}); delete it and run `dvc repro embed_texts`") from error

    def save(self, folder: Path) -> None:
        """Write the identity and what was fitted; the same bytes whichever process fitted it."""
        import joblib

        super().save(folder)
        vectorizer = copy(self._vectorizer)
        vars(vectorizer).pop("_stop_words_id", None)  # where they lie in memory: scikit-learn's note that it saw them
        joblib.dump((self._words, vectorizer, self._components), folder / MODEL_NAME)

    def transform(self, texts: Sequence[str]) -> Vectors:
        """(n, d) float32, unit norm, of n texts."""
        vectors = np.zeros((len(texts), self.dim), dtype=np.float32)
        if not texts:
            return vectors
        weights = self._vectorizer.transform(self._words.prepare(texts))
        vectors[:, :-1] = weights.toarray() if self._components is None else weights @ self._components
        norms = np.linalg.norm(vectors, axis=1)
        unknown = norms < _NOTHING
        vectors[unknown] = 0
        vectors[unknown, -1] = norms[unknown] = 1
        return np.asarray(vectors / norms[:, None], dtype=np.float32)


def _sha256(vectorizer: Any, components: npt.NDArray[np.float32] | None) -> str:
    digest = hashlib.sha256("\n".join(vectorizer.get_feature_names_out()).encode())
    digest.update(np.ascontiguousarray(vectorizer.idf_, dtype=np.float32).data)
    if components is not None:
        digest.update(np.ascontiguousarray(components).data)
    return digest.hexdigest()
