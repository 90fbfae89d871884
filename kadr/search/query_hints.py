"""Hints about parts of a query that the text encoders cannot know."""

import unicodedata
from collections.abc import Iterator, Sequence

from kadr.encoders import TextEncoder
from kadr.encoders.text_reading import TextReading
from kadr.io.texts import normalise_text
from kadr.search.languages import KnownLanguages, UnknownLanguage

_MAX_QUOTED = 60  # characters of the query in a hint
_SCRIPT_NAMES = {"CJK": "Chinese characters"}


def find_encoder_hints(
    texts: Sequence[str], encoder: object, known: KnownLanguages, model_known: KnownLanguages | None
) -> Iterator[str]:
    """Yield hints about texts that the search encoder or the relevance model cannot know.

    Args:
        texts: texts of a query.
        encoder: search encoder.
        known: languages of the search encoder.
        model_known: languages of the text encoders of the relevance model. None if the query is not reranked.
    """
    for text in texts:
        normalised = normalise_text(text)
        unknown = known.find_unknown(normalised)
        if unknown is not None:
            yield _explain_unknown(text, unknown, known)
        elif not any(character.isalnum() or unicodedata.category(character) == "So" for character in text):
            yield f"{_quote(text)} contains no words, so the results may not match."
        reading = encoder.read_text(normalised) if isinstance(encoder, TextEncoder) else None
        if reading is not None:
            yield from _explain_reading(reading, is_known=unknown is None)
        if model_known is not None and model_known.find_unknown(normalised) is not None:
            languages = ", ".join(sorted(model_known.languages or ())) or "the languages of its text encoders"
            yield f"The images are ranked by cosine alone, because the relevance model knows only {languages}."
            model_known = None


def _explain_unknown(text: str, unknown: UnknownLanguage, known: KnownLanguages) -> str:
    advice = "Results may not match. Use a multilingual model, e.g. `kadr index --model multilingual`."
    if unknown.script is not None:
        script = _SCRIPT_NAMES.get(unknown.script, f"{unknown.script.title()} letters")
        return f"The model of the index does not know {script}, as in {_quote(text)}. {advice}"
    languages = ", ".join(sorted(known.languages or ()))
    return (
        f"{_quote(text)} seems to be in another language ({unknown.language}) than the model of the index knows "
        f"({languages}). {advice}"
    )


def _explain_reading(reading: TextReading, *, is_known: bool) -> Iterator[str]:
    if reading.unread:
        yield (
            f"The text has {reading.n_tokens} tokens, and the model of the index reads only the first "
            f"{reading.max_tokens}. It did not read the end, from {_quote(reading.unread)}"
        )
    if is_known:
        for unknown in reading.unknown_words:
            pieces = " ".join(unknown.pieces)
            yield f"The model of the index may not know {unknown.word!r}: it reads {pieces!r}. Check the spelling."


def _quote(text: str) -> str:
    return repr(text if len(text) <= _MAX_QUOTED else text[:_MAX_QUOTED].rstrip() + "…")
