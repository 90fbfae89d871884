"""The library room's idea of one text: what every encoder and every feature sees of it."""

import unicodedata


def normalise_text(text: str) -> str:
    """A text in small letters, with Unicode composed (NFC), single spaces, and no dots at its end.

    So case and a trailing dot change no score. A text of dots alone stays.

    >>> normalise("A  dog runs .")
    'a dog runs'
    """
    composed = " ".join(unicodedata.normalize("NFC", text).lower().split())
    return composed.rstrip(" .…") or composed
