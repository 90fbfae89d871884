"""The encoders' words: a text as the words that TF-IDF counts: as they are, or their lemmas or stems.

Lemmas come from spaCy's lookup tables and stop words from spaCy, stems from NLTK's Snowball (Porter 2001). None of them
needs a download; the libraries are imported where they are asked for.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version

from kadr.errors import EncoderError

_TOKEN = re.compile(r"\b\w\w+\b")  # scikit-learn's own
_CODES = {"english": "en", "russian": "ru"}
_LIBRARIES = {"lemmas": ("spacy", "spacy-lookups-data"), "stems": ("nltk",), "as_is": ()}


@dataclass(frozen=True)
class Words:
    """What becomes of a text's words.

    Attributes:
        form: as_is, lemmas or stems.
        language: english or russian: of the lemmas, stems and stop words.
        stop_words: whether words such as "the" are left out.
    """

    form: str
    language: str
    stop_words: bool

    @property
    def libraries(self) -> list[str]:
        """The packages that `prepare` imports."""
        return list(dict.fromkeys([*_LIBRARIES[self.form], *(["spacy"] if self.stop_words else [])]))

    @property
    def description(self) -> str:
        """What they depend on, for an identity; empty where texts stay as they are."""
        parts = [self.form if self.form != "as_is" else "", "without stop words" if self.stop_words else ""]
        if not self.libraries:
            return ""
        versions = [f"{name} {version(name)}" for name in self.libraries]
        return ", ".join(filter(None, [*parts, self.language, *versions]))

    def prepare(self, texts: Sequence[str]) -> list[str]:
        """Each text as its words in lower case, each with a space behind; the texts themselves for plain words.

        Raises:
            EncoderError: where a library is not installed.
        """
        if self.form == "as_is" and not self.stop_words:
            return list(texts)
        try:
            left_out = _stop_words(self.language) if self.stop_words else frozenset()
            form_of = _FORMS[self.form](self.language)
        except ImportError as error:
            raise EncoderError(
                f"tfidf with words: {self.form} wants {error.name}; install it with `pip install 'kadr[words]'`"
            ) from error
        return [" ".join(map(form_of, _kept(text, left_out))) for text in texts]


def _kept(text: str, left_out: frozenset[str]) -> Iterable[str]:
    return (word for word in _TOKEN.findall(text.lower()) if word not in left_out)


@cache
def _stop_words(language: str) -> frozenset[str]:
    import spacy

    return frozenset(spacy.blank(_CODES[language]).Defaults.stop_words)


@cache
def _lemmas(language: str) -> Callable[[str], str]:
    import spacy
    from spacy.tokens import Doc

    pipeline = spacy.blank(_CODES[language])
    lemmatizer = pipeline.add_pipe("lemmatizer", config={"mode": "lookup"})
    pipeline.initialize()
    return cache(lambda word: str(lemmatizer(Doc(pipeline.vocab, words=[word]))[0].lemma_).lower())


@cache
def _stems(language: str) -> Callable[[str], str]:
    from nltk.stem.snowball import SnowballStemmer

    return cache(SnowballStemmer(language).stem)


def _as_is(language: str) -> Callable[[str], str]:
    return str


_FORMS: dict[str, Callable[[str], Callable[[str], str]]] = {"as_is": _as_is, "lemmas": _lemmas, "stems": _stems}
