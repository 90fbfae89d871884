"""Tell words from garbled characters, which a wrong encoding produces."""

import re
import unicodedata
from functools import cache

_SIGNS = frozenset("№°€£·…¿¡‚„’‘´`¨ªº")  # signs that texts contain beside letters and punctuation
_DASHES = "–—"
_MARKS = frozenset(("Mn", "Mc", "Lm", "Pd", "Pi", "Pf", "Ps", "Pe"))
_EAST_ASIAN = frozenset(("CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "HANGUL", "IDEOGRAPHIC", "FULLWIDTH"))
_PARTS = re.compile(r"[-’'./,;|]")


def share_of_words(words: list[str]) -> float:
    """Return the share of words that look like words of a language, 0 to 1. The list must not be empty.

    >>> share_of_words(["Wiese,", "МАЛЬЧИК", "Mädchen"]), share_of_words(["MŠdchen", "Dˆbris", "бNРЪР°"])
    (1.0, 0.0)
    """
    return sum(map(_is_word, words)) / len(words)


def _is_word(word: str) -> bool:
    """Return whether the letters of a word have one script, and capitals occur only at the start or everywhere."""
    if not all(map(_occurs_in_texts, word)) or (word[0] in _DASHES and word[1:2].isalpha()):
        return False
    scripts = {_script(character) for character in word if character.isalpha() and character not in _SIGNS}
    if scripts & _EAST_ASIAN:
        return not scripts & {"CYRILLIC", "GREEK", "HALFWIDTH"}
    return len(scripts) <= 1 and all(map(_has_usual_case, _PARTS.split(word)))


@cache
def _occurs_in_texts(character: str) -> bool:
    if character.isascii() or character.isalpha() or character in _SIGNS:
        return True
    return unicodedata.category(character) in _MARKS or "\u3000" <= character <= "\u303f" or character >= "\uff00"


@cache
def _script(character: str) -> str:
    """Return the first word of the Unicode name of a character, such as CYRILLIC."""
    return unicodedata.name(character, "?").split()[0]


def _has_usual_case(part: str) -> bool:
    letters = "".join(filter(str.isalpha, part))
    return letters[1:] == letters[1:].lower() or letters == letters.upper()
