"""Normalise queries and captions."""

import unicodedata


def normalise_whitespace(text: str) -> str:
    """Replace each run of whitespace with a single space and strip the ends. Tables store texts in this form.

    >>> normalise_whitespace(" A  dog runs .")
    'A dog runs .'
    """
    return " ".join(text.split())


def normalise_text(text: str) -> str:
    """Normalise a text for encoders and features: lower case, Unicode NFC, no trailing full stops.

    A text that consists only of full stops keeps them.

    >>> normalise_text("A  dog runs .")
    'a dog runs'
    """
    composed = normalise_whitespace(unicodedata.normalize("NFC", text).lower())
    return composed.rstrip(" .…") or composed
