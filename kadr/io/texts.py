"""Normalise queries and captions."""

import unicodedata

from kadr.io.invisible_characters import remove_invisible, visible

__all__ = ["normalise_text", "normalise_whitespace", "remove_invisible", "visible"]


def normalise_whitespace(text: str) -> str:
    r"""Remove invisible characters, replace each run of whitespace with a single space, and strip the ends.

    Tables store texts in this form.

    >>> normalise_whitespace(" A\u200b  dog\u00a0runs .")
    'A dog runs .'
    """
    return " ".join(remove_invisible(text).split())


def normalise_text(text: str) -> str:
    """Normalise a text for encoders and features: lower case, Unicode NFC, no trailing full stops.

    A text that consists only of full stops keeps them.

    >>> normalise_text("A  dog runs .")
    'a dog runs'
    """
    composed = normalise_whitespace(unicodedata.normalize("NFC", text).lower())
    return composed.rstrip(" .…") or composed
