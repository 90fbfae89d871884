"""Find out whether text encoders know the language of a query.

The script of a query is the first evidence. For the language, py3langid gives the probabilities (Lui and Baldwin 2012).
Short texts are rarely refused: `benchmarks/languages.py` measures it.
"""

import importlib.util
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Self

from kadr.encoders import TextEncoder
from kadr.encoders.scripts import LATIN, count_scripts

MAX_KNOWN_PROBABILITY = 0.01
"""A text is in another language if the known languages together are at most this probable, and ..."""

MIN_OTHER_PROBABILITY = 0.3
"""... one other language is at least this probable."""

_MIN_WORDS = 2  # of a text in Latin letters. Single words, such as "auto", exist in many languages
_NO_LANGUAGE = "zxx"  # ISO 639 code of texts without a language, such as "asdkjh"
_CACHE_SIZE = 4096


@dataclass(frozen=True)
class UnknownLanguage:
    """Evidence that text encoders do not know the language of a text.

    Attributes:
        script: Unicode name of the script of the text, if the encoders do not know it.
        language: ISO 639 code of the most probable language, if the encoders know the script. None if they do not.
    """

    script: str | None = None
    language: str | None = None


@dataclass(frozen=True)
class KnownLanguages:
    """The languages and scripts that several text encoders know.

    Attributes:
        languages: ISO 639-1 codes. None for all languages.
        scripts: Unicode names of scripts. None for all scripts.
    """

    languages: frozenset[str] | None = None
    scripts: frozenset[str] | None = None

    @classmethod
    def of_encoders(cls, encoders: Iterable[object]) -> Self:
        """Return the languages and scripts that all encoders know. Encoders of other classes know all languages."""
        languages: frozenset[str] | None = None
        scripts: frozenset[str] | None = None
        for encoder in encoders:
            if isinstance(encoder, TextEncoder):
                languages = _intersect(languages, encoder.languages)
                scripts = _intersect(scripts, encoder.scripts)
        return cls(languages, scripts)

    def find_unknown(self, text: str) -> UnknownLanguage | None:
        """Return evidence that the encoders do not know the language of a text, or None if they may know it."""
        return _find_unknown(text, self)


def _intersect(left: frozenset[str] | None, right: frozenset[str] | None) -> frozenset[str] | None:
    return left if right is None else right if left is None else left & right


@lru_cache(maxsize=_CACHE_SIZE)
def _find_unknown(text: str, known: KnownLanguages) -> UnknownLanguage | None:
    scripts = count_scripts(text)
    if not scripts:
        return None
    script = scripts.most_common(1)[0][0]
    if known.scripts is not None and script not in known.scripts:
        return UnknownLanguage(script=script)
    if known.languages is None or (script == LATIN and len(text.split()) < _MIN_WORDS):
        return None
    probabilities = language_probabilities(text)
    best = max(probabilities, key=probabilities.__getitem__, default="")
    is_known = sum(probabilities.get(language, 0) for language in known.languages) > MAX_KNOWN_PROBABILITY
    if not probabilities or is_known or probabilities[best] < MIN_OTHER_PROBABILITY or best == _NO_LANGUAGE:
        return None
    return UnknownLanguage(language=best)


def language_probabilities(text: str) -> Mapping[str, float]:
    """Return ISO 639 code -> probability that a text is in this language. Empty if py3langid is not installed."""
    if importlib.util.find_spec("py3langid") is None:
        return {}
    return dict(_identifier().rank(text))


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
