"""Normalise the words of texts for TF-IDF: reduce words to lemmas or stems, and remove stop words.

spaCy provides lists of stop words and lookup tables of lemmas. NLTK provides the Snowball stemmer (Porter 2001).
Neither spaCy nor NLTK downloads a model. Each library is imported when it is first used.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version

from kadr.encoders.base import missing_package_error

_TOKEN = re.compile(r"\b\w\w+\b")  # the default token pattern of scikit-learn
_LANGUAGE_CODES = {"english": "en", "russian": "ru"}
_DISTRIBUTIONS = {"lemmas": ("spacy", "spacy-lookups-data"), "stems": ("nltk",), "as_is": ()}


@dataclass(frozen=True)
class Tokenizer:
    """Tokenizer that normalises the words of a text for TF-IDF.

    Attributes:
        words: form of the returned words: as_is, lemmas or stems.
        language: language of the texts: english or russian.
        stop_words: whether to remove stop words, such as "the".
    """

    words: str
    language: str
    stop_words: bool

    @property
    def distributions(self) -> list[str]:
        """Names of the Python distributions that `tokenize` imports."""
        return list(dict.fromkeys([*_DISTRIBUTIONS[self.words], *(["spacy"] if self.stop_words else [])]))

    @property
    def languages(self) -> list[str] | None:
        """ISO 639-1 code of the language. None if no step depends on the language."""
        return None if self.words == "as_is" and not self.stop_words else [_LANGUAGE_CODES[self.language]]

    @property
    def description(self) -> str:
        """Settings and library versions that affect the result. The string is empty if texts are not changed."""
        parts = [self.words if self.words != "as_is" else "", "without stop words" if self.stop_words else ""]
        if not self.distributions:
            return ""
        versions = [f"{name} {version(name)}" for name in self.distributions]
        return ", ".join(filter(None, [*parts, self.language, *versions]))

    def tokenize(self, texts: Sequence[str]) -> list[str]:
        """Normalise the words of each text, and join the words with spaces.

        Texts are returned unchanged if `words` is `as_is` and stop words are kept.

        Raises:
            EncoderError: spaCy or NLTK is required but not installed.
        """
        if self.words == "as_is" and not self.stop_words:
            return list(texts)
        try:
            removed = _stop_words(self.language) if self.stop_words else frozenset()
            reduce_word = _REDUCERS[self.words](self.language)
        except ImportError as error:
            raise missing_package_error(f"tfidf with words: {self.words}", error, "words") from error
        return [" ".join(map(reduce_word, _split(text, removed))) for text in texts]


def _split(text: str, removed: frozenset[str]) -> Iterable[str]:
    return (word for word in _TOKEN.findall(text.lower()) if word not in removed)


@cache
def _stop_words(language: str) -> frozenset[str]:
    import spacy

    return frozenset(spacy.blank(_LANGUAGE_CODES[language]).Defaults.stop_words)


@cache
def _lemmatizer(language: str) -> Callable[[str], str]:
    import spacy
    from spacy.tokens import Doc

    pipeline = spacy.blank(_LANGUAGE_CODES[language])
    lemmatizer = pipeline.add_pipe("lemmatizer", config={"mode": "lookup"})
    pipeline.initialize()
    return cache(lambda word: str(lemmatizer(Doc(pipeline.vocab, words=[word]))[0].lemma_).lower())


@cache
def _stemmer(language: str) -> Callable[[str], str]:
    from nltk.stem.snowball import SnowballStemmer

    return cache(SnowballStemmer(language).stem)


def _identity(language: str) -> Callable[[str], str]:
    return str


_REDUCERS: dict[str, Callable[[str], Callable[[str], str]]] = {
    "as_is": _identity,
    "lemmas": _lemmatizer,
    "stems": _stemmer,
}
