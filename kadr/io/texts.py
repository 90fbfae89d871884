"""Normalise queries and captions."""

import unicodedata


def normalise_whitespace(text: str) -> str:
    """Return a text with single spaces and without spaces at its ends, as the tables store it.

    >>> normalise_whitespace(" A  dog runs .")
    'A dog runs .'
    """
    return " ".join(text.split())


def normalise_text(text: str) -> str:
    """Return a text as encoders and features read it: lower case, composed Unicode (NFC), no final full stop.

    A text that consists of full stops stays as it is.

    >>> normalise_text("A  dog runs .")
    'a dog runs'
    """
    composed = normalise_whitespace(unicodedata.normalize("NFC", text).lower())
    return composed.rstrip(" .…") or composed
