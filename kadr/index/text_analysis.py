"""Split names and texts into the terms of a text index, in the same way for images and queries.

A term is a lower-case word without accents, reduced to its stem by the Snowball algorithm of its script (Porter 2001).
Names are also split at changes between lower and upper case, and between letters and digits. Chinese, Japanese and
Korean texts are split into pairs of neighbouring characters, because they have few or no spaces.
"""

import re
import threading
import unicodedata
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Any

_MAX_TERM_LENGTH = 64
_MAX_CACHED_STEMS = 200_000

_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
_MARKED = "\u0900-\u0dff\u0e00-\u0eff\u0f00-\u109f\u1780-\u17ff"  # Indic scripts, Thai, Tibetan, Burmese and Khmer
_WORD = re.compile(rf"[{_CJK}ー々]+|(?:(?![{_CJK}])[^\W_]|[{_MARKED}])+")
_IS_CJK = re.compile(f"[{_CJK}]")
_BOUNDARY = re.compile(r"(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])")
_CASE_BOUNDARY = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[а-яё])(?=[А-ЯЁ])")
_ACCENT = re.compile("(?<=[A-Za-z\u0391-\u03c9])[\u0300-\u036f]+")
_ARABIC_MARKS = re.compile("[\u064b-\u0652\u0670\u0640]")
_LANGUAGES = (  # script -> Snowball algorithm
    (re.compile("[a-z]+"), "english"),
    (re.compile("[\u0400-\u04ff]+"), "russian"),
    (re.compile("[\u0620-\u064a]+"), "arabic"),
    (re.compile("[\u03b1-\u03c9]+"), "greek"),
)
_stemmer_lock = threading.Lock()  # a stemmer has state

STOP_WORDS = frozenset(
    # The English stop words of Apache Lucene, and Russian prepositions, conjunctions and particles
    [
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "but",
        "by",
        "for",
        "if",
        "in",
        "into",
        "is",
        "it",
        "no",
        "not",
        "of",
        "on",
        "or",
        "such",
        "that",
        "the",
        "their",
        "then",
        "there",
        "these",
        "they",
        "this",
        "to",
        "was",
        "will",
        "with",
        "а",
        "без",
        "бы",
        "в",
        "во",
        "вот",
        "для",
        "до",
        "если",
        "же",
        "за",
        "и",
        "из",
        "или",
        "к",
        "как",
        "ко",
        "на",
        "не",
        "но",
        "о",
        "об",
        "от",
        "по",
        "под",
        "при",
        "про",
        "с",
        "со",
        "у",
        "что",
        "это",
    ]
)
"""Words that say nothing about the content of an image. A query without other words uses them."""


def document_terms(text: str) -> Iterator[str]:
    """Yield the terms of a name or text of an image.

    >>> list(document_terms("IMG_1234 BeachParty"))
    ['img', '1234', 'beachparti', 'beach', 'parti']
    """
    for word in _find_words(text):
        if _IS_CJK.match(word):
            yield from word
            yield from _pairs(word)
            continue
        yield _term(word)
        parts = _split_name(word)
        if len(parts) > 1:
            yield from map(_term, parts)


def query_terms(text: str) -> dict[str, tuple[str, ...]]:
    """Return the terms of a query text: word of the text -> its terms.

    The first term is the word itself, and the others are its parts: `["beachparti", "beach", "parti"]`. A Chinese,
    Japanese or Korean word has one entry for each pair of its characters.

    Stop words are left out, unless the text contains nothing else.

    >>> query_terms("Two dogs in the snow")
    {'Two': ('two',), 'dogs': ('dog',), 'snow': ('snow',)}
    """
    words: dict[str, tuple[str, ...]] = {}
    for word in _find_words(text):
        if _IS_CJK.match(word):
            words |= {pair: (pair,) for pair in (_pairs(word) if len(word) > 1 else [word])}
        else:
            parts = _split_name(word)
            words.setdefault(word, (_term(word), *(map(_term, parts) if len(parts) > 1 else ())))
    content = {word: terms for word, terms in words.items() if word.casefold() not in STOP_WORDS}
    return content or words


def _find_words(text: str) -> Iterator[str]:
    """Yield the words of a text without accents, in their original case."""
    decomposed = _ARABIC_MARKS.sub("", _ACCENT.sub("", unicodedata.normalize("NFKD", text)))
    for match in _WORD.finditer(unicodedata.normalize("NFC", decomposed)):
        yield match[0][:_MAX_TERM_LENGTH]


def _split_name(word: str) -> list[str]:
    """Split a word at changes of case, and between letters and digits."""
    return [part for piece in _CASE_BOUNDARY.split(word) for part in _BOUNDARY.split(piece) if part]


def _pairs(word: str) -> list[str]:
    return [word[start : start + 2] for start in range(len(word) - 1)]


def _term(word: str) -> str:
    return _stem(word.casefold().replace("ё", "е"))


@lru_cache(maxsize=_MAX_CACHED_STEMS)
def _stem(word: str) -> str:
    language = next((language for script, language in _LANGUAGES if script.fullmatch(word)), None)
    if language is None:
        return word
    with _stemmer_lock:
        stem: str = _stemmer(language).stemWord(word)
    return stem


@cache
def _stemmer(language: str) -> Any:
    import snowballstemmer

    return snowballstemmer.stemmer(language)
