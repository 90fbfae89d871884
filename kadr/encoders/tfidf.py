"""The tfidf backend: TF-IDF weights of word n-grams, optionally reduced by a truncated SVD.

The last component of a vector is 1 if the text contains no known words, and 0 otherwise. If the last component is 1,
all other components are 0. Texts without known words therefore have identical unit vectors, which are orthogonal to the
vectors of texts with known words.
"""

import hashlib
from collections.abc import Sequence
from copy import copy
from dataclasses import asdict
from pathlib import Path
from pickle import PickleError
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field

from kadr.encoders.base import Identity, TextEncoder, missing_package_error
from kadr.encoders.tokenizer import Tokenizer
from kadr.errors import EncoderError
from kadr.io.embeddings import Vectors
from kadr.params import EncoderParams, Languages, Precision

MODEL_NAME = "tfidf.joblib"
_ZERO_NORM = 1e-6
_LOAD_FAILURES = (OSError, ValueError, LookupError, AttributeError, TypeError, EOFError, ImportError)


class TfidfParams(EncoderParams):
    """Settings of a TF-IDF encoder."""

    backend: Literal["tfidf"]
    words: Literal["as_is", "lemmas", "stems"] = Field(
        "as_is", description="How to normalise words before counting: as_is (unchanged), lemmas or stems."
    )
    language: Literal["english", "russian"] = Field("english", description="Language of lemmas, stems and stop words.")
    languages: Languages = None
    stop_words: bool = Field(default=False, description="Remove stop words, such as `the`.")
    max_features: int = Field(ge=1, description="Maximum number of n-grams in the vocabulary.")
    ngram_max: int = Field(ge=1, description="Maximum number of words in an n-gram.")
    dim: int | None = Field(
        ge=1, description="Maximum length of a vector. Longer vectors are reduced by an SVD. null skips the SVD."
    )

    @property
    def tokenizer(self) -> Tokenizer:
        """Tokenizer built from the settings."""
        return Tokenizer(self.words, self.language, self.stop_words)

    @property
    def distributions(self) -> list[str]:
        """Names of the Python distributions that the encoder needs."""
        return ["joblib", "scikit-learn", *self.tokenizer.distributions]


class TfidfEncoder(TextEncoder):
    """Text encoder that computes TF-IDF weights of word n-grams.

    Args:
        tokenizer: tokenizer that normalises the words of a text before the n-grams are counted.
        vectorizer: fitted scikit-learn `TfidfVectorizer`.
        components: right singular vectors of the SVD, (n_terms, d - 1), or None if there is no SVD.
        languages: languages that the encoder knows, as ISO 639-1 codes. None for the language of the tokenizer.
    """

    params_model = TfidfParams

    def __init__(
        self,
        tokenizer: Tokenizer,
        vectorizer: Any,
        components: npt.NDArray[np.float32] | None,
        languages: Sequence[str] | None = None,
    ) -> None:
        self._tokenizer = tokenizer
        self._vectorizer = vectorizer
        self._components = components
        self.declared_languages = languages or tokenizer.languages
        self.dim = 1 + (len(vectorizer.vocabulary_) if components is None else components.shape[1])
        counting = f"lower case, words and sequences of up to {vectorizer.ngram_range[1]}"
        self.identity = Identity(
            encoder="tfidf",
            architecture="tfidf",
            weights_sha256=_sha256(vectorizer, components),
            preprocessing=", ".join(filter(None, (counting, tokenizer.description))),
            precision="fp32",
        )

    @classmethod
    def fit(cls, params: TfidfParams, precision: Precision, texts: Sequence[str], seed: int) -> Self:
        """Fit the vocabulary and the SVD. The SVD is skipped if the vocabulary has fewer than `params.dim` n-grams.

        Raises:
            EncoderError: the texts contain no words, or scikit-learn is not installed.
        """
        try:
            from sklearn.decomposition import TruncatedSVD
            from sklearn.feature_extraction.text import TfidfVectorizer
        except ImportError as error:
            raise missing_package_error("tfidf", error, "relevance") from error
        tokenizer = params.tokenizer
        vectorizer = TfidfVectorizer(
            max_features=params.max_features, ngram_range=(1, params.ngram_max), sublinear_tf=True, dtype=np.float32
        )
        try:
            weights = vectorizer.fit_transform(tokenizer.tokenize(sorted(set(texts))))
        except ValueError as error:
            raise EncoderError(
                f"tfidf: the {len(texts)} training texts contain no words ({error}). Add training queries or captions."
            ) from error
        if params.dim is None or weights.shape[1] <= max(1, params.dim - 1):
            return cls(tokenizer, vectorizer, None, params.languages)
        svd = TruncatedSVD(n_components=max(1, params.dim - 1), random_state=seed).fit(weights)
        return cls(tokenizer, vectorizer, np.ascontiguousarray(svd.components_.T, dtype=np.float32), params.languages)

    @classmethod
    def load(cls, params: TfidfParams, precision: Precision, folder: Path) -> Self:
        """Load a saved encoder from the folder that `save` wrote.

        Raises:
            EncoderError: the file is missing or damaged.
        """
        try:
            import joblib
        except ImportError as error:
            raise missing_package_error("tfidf", error, "relevance") from error
        path = folder / MODEL_NAME
        try:
            state = joblib.load(path)
            return cls(Tokenizer(**state["tokenizer"]), state["vectorizer"], state["components"], params.languages)
        except FileNotFoundError as error:
            raise EncoderError(f"{path} does not exist. Run `dvc repro embed_texts` to fit the encoder.") from error
        except (*_LOAD_FAILURES, PickleError) as error:
            raise EncoderError(
                f"{path} cannot be read ({error}). Delete the file and run `dvc repro embed_texts`."
            ) from error

    def save(self, folder: Path) -> None:
        """Save the identity and the fitted state of the encoder. Identical encoders write identical files."""
        import joblib

        super().save(folder)
        vectorizer = copy(self._vectorizer)
        vars(vectorizer).pop("_stop_words_id", None)  # a memory address, which differs between processes
        state = {"tokenizer": asdict(self._tokenizer), "vectorizer": vectorizer, "components": self._components}
        joblib.dump(state, folder / MODEL_NAME)

    def transform(self, texts: Sequence[str]) -> Vectors:
        """Encode texts as unit vectors, (n_texts, d) float32."""
        vectors = np.zeros((len(texts), self.dim), dtype=np.float32)
        if not texts:
            return vectors
        weights = self._vectorizer.transform(self._tokenizer.tokenize(texts))
        vectors[:, :-1] = weights.toarray() if self._components is None else weights @ self._components
        norms = np.linalg.norm(vectors, axis=1)
        unknown = norms < _ZERO_NORM
        vectors[unknown] = 0
        vectors[unknown, -1] = norms[unknown] = 1
        return np.asarray(vectors / norms[:, None], dtype=np.float32)


def _sha256(vectorizer: Any, components: npt.NDArray[np.float32] | None) -> str:
    digest = hashlib.sha256("\n".join(vectorizer.get_feature_names_out()).encode())
    digest.update(np.ascontiguousarray(vectorizer.idf_, dtype=np.float32).data)
    if components is not None:
        digest.update(np.ascontiguousarray(components).data)
    return digest.hexdigest()
