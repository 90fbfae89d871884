"""Remove characters that nobody sees from texts, names and headers, and show such characters in messages."""

import re
import unicodedata

_SPACES = "\u115f\u1160\u180e\u2800\u3164\uffa0"  # blank characters that `str.split` keeps
_ZWNJ, _ZWJ = "\u200c", "\u200d"
_JOINERS = _ZWNJ + _ZWJ
_EMOJI_VARIANTS = "\ufe0e\ufe0f"
_KEYCAP = "\u20e3"
_VARIANT_SCRIPTS = "\u1000-\u109f\ua840-\ua87f\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_MONGOLIAN = "\u1800-\u18af"
_JOINING_SCRIPTS = (  # Arabic, Syriac, Thaana, N'Ko, Mandaic; Indic scripts, Tibetan, Myanmar, Khmer; Mongolian
    "\u0600-\u08ff\ufb50-\ufdff\ufe70-\ufefc\u0900-\u0dff\u0f00-\u109f\u1700-\u18af\u1900-\u1cff\ua800-\uabff"
    "\U00011000-\U00011fff"
)
_INVISIBLE = (
    "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u17b4\u17b5\u180b-\u180d\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\ufe00-\ufe0f\ufeff\ufff9-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
INVISIBLE_PATTERN = f"[{_INVISIBLE}{_SPACES}]"
"""Regular expression for characters that `remove_invisible` can remove or replace, for Python and RE2."""

_SUSPECT = re.compile(INVISIBLE_PATTERN)
_VISIBLE = re.compile(f"[^{_INVISIBLE}{_SPACES}]")
_FLAG = re.compile("\U0001f3f4[\U000e0020-\U000e007e]+\U000e007f")
_JOINING = re.compile(f"[{_JOINING_SCRIPTS}]")
_MONGOLIAN_LETTER = re.compile(f"[{_MONGOLIAN}]")
_HAS_VARIANTS = re.compile(f"[{_VARIANT_SCRIPTS}]")
_ESCAPED = re.compile(
    f"[{_INVISIBLE}{_SPACES}\x09-\x0d\x1c-\x1f\x85\u00a0\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ud800-\udfff]"
)


def remove_invisible(text: str) -> str:
    r"""Remove invisible and format characters, such as zero width spaces, byte order marks and soft hyphens.

    Characters that change how a text is written are kept: joiners in emoji, joiners in words of Arabic and Indic
    scripts, and variation selectors that belong to the character before them. Blank letters become spaces.

    >>> remove_invisible("\u200bbe\u00adside\ufeff")
    'beside'
    """
    if not _SUSPECT.search(text):
        return text
    kept: list[str] = []
    flags = [match.span() for match in _FLAG.finditer(text)]
    for position, character in enumerate(text):
        if character in _SPACES:
            kept.append(" ")
        elif (
            not _SUSPECT.match(character)
            or any(start <= position < end for start, end in flags)
            or (kept and _is_meaningful(character, kept[-1], _next_visible(text, position)))
        ):
            kept.append(character)
    return "".join(kept)


def visible(text: str) -> str:
    r"""Return a text in which invisible characters, unusual spaces and line breaks are written as escape sequences.

    >>> visible("caf\u00e9\u200b\u00a01\n")
    'café\\u200b\\xa01\\n'
    """
    return _ESCAPED.sub(lambda match: match[0].encode("unicode_escape", "surrogatepass").decode("ascii"), text)


def _next_visible(text: str, position: int) -> str:
    """Return the next character that is never removed, or "" at the end of the text."""
    following = _VISIBLE.search(text, position + 1)
    return following[0] if following else ""


def _is_meaningful(character: str, before: str, after: str) -> bool:
    """Return whether an invisible character changes how the character before it is written.

    Args:
        character: invisible character.
        before: previous character that was kept.
        after: next visible character, or "".
    """
    if character in _JOINERS:
        if _JOINING.match(before):
            ends_word = character == _ZWJ and unicodedata.combining(before) == 9  # a virama
            return ends_word or bool(after and _JOINING.match(after))
        return character == _ZWJ and _is_pictograph(before) and _is_pictograph(after)
    if character in _EMOJI_VARIANTS:
        return _is_pictograph(before) or before in "\u203c\u2049" or (before in "#*0123456789" and after == _KEYCAP)
    if "\ufe00" <= character <= "\ufe0d":
        return unicodedata.category(before) == "Sm" or bool(_HAS_VARIANTS.match(before))
    if "\U000e0100" <= character <= "\U000e01ef":
        return bool(_HAS_VARIANTS.match(before))
    return character in "\u180b\u180c\u180d\u180f" and bool(_MONGOLIAN_LETTER.match(before))


def _is_pictograph(character: str) -> bool:
    return bool(character) and (unicodedata.category(character) in ("So", "Sk", "Sm") or character in _EMOJI_VARIANTS)
