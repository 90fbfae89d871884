"""Scripts (writing systems) of texts and of the vocabularies of tokenizers."""

import unicodedata
from collections import Counter
from collections.abc import Iterable

HAN, LATIN = "CJK", "LATIN"
"""Names of the Chinese characters and of the Latin letters."""

_MIN_HAN_SHARE = 0.03  # of a vocabulary. Vocabularies of English models contain a few Chinese characters, too
_MIN_SHARE = 0.002  # of a vocabulary, for tokens of at least two letters. Other vocabularies contain single letters


def script_of(letter: str) -> str:
    """Return the name of the script of a letter, as in Unicode names.

    >>> [script_of(letter) for letter in "aж雪ك"]
    ['LATIN', 'CYRILLIC', 'CJK', 'ARABIC']
    """
    return unicodedata.name(letter, "UNKNOWN").partition(" ")[0].partition("-")[0]


def count_scripts(text: str) -> Counter[str]:
    """Return the number of letters of each script in a text. Fullwidth letters count as the letters that they show."""
    letters = (character for character in unicodedata.normalize("NFKC", text) if character.isalpha())
    return Counter(map(script_of, letters))


def vocabulary_scripts(tokens: Iterable[str]) -> frozenset[str]:
    """Return the scripts in which a tokenizer knows more than single letters.

    Args:
        tokens: tokens of its vocabulary, or a sample of them.
    """
    counts: Counter[str] = Counter()
    n_tokens = 0
    for token in tokens:
        n_tokens += 1
        letters = [character for character in token if character.isalpha()]
        if letters and (len(letters) > 1 or script_of(letters[0]) == HAN):
            counts[script_of(letters[0])] += 1
    return frozenset(
        script for script, n in counts.items() if n >= (_MIN_HAN_SHARE if script == HAN else _MIN_SHARE) * n_tokens
    )
