"""The search's questions: weighted terms, filters, and the little language in which people write them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date

from kadr.errors import SearchError

EXAMPLE = '"a dog in the snow", or "dog + snow - people"'
_SIGN = re.compile(r'"[^"]*"|(?:^|(?<=\s))[+-](?=\s|$)')  # a quoted part, or a sign that stands alone
_WEIGHT = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*\*\s*(.*)", re.DOTALL)
_PHOTO = "photo:"


@dataclass(frozen=True)
class Term:
    """One part of a query: exactly one of text, image_id and photo.

    Attributes:
        weight: how much it counts; negative: away from it.
        text: what the photo shows.
        image_id: a photo of the index that it looks like.
        photo: the bytes of a photo's file, from anywhere.
    """

    weight: float
    text: str | None = None
    image_id: str | None = None
    photo: bytes | None = None

    def __post_init__(self) -> None:
        """Refuse what is no term. Raises SearchError."""
        if sum(part is not None for part in (self.text, self.image_id, self.photo)) != 1:
            raise SearchError("a term of a query is one of a text, a photo of the index, or a photo's file")
        if self.text is not None and not self.text.strip():
            raise SearchError(f"the text to search for is empty; say what the photo shows, e.g. {EXAMPLE}")
        if not -1000 <= self.weight <= 1000 or self.weight == 0:
            raise SearchError(f"the weight of a term is {self.weight}; give one between -1000 and 1000, and not 0")


@dataclass(frozen=True)
class Filters:
    """What a found photo has to be; None is no filter. A photo of which the value is not known is not found.

    Attributes:
        folder: names of folders one in another, that stand in its path: `holiday`, `2024/holiday`, `/home/me/photos`.
        after: taken on that day or later (EXIF; else the file's time of modification).
        before: taken earlier than that day.
        min_side: pixels that its shorter side has at least.
        min_relevance: that the relevance model gives it at least, 0..1; it judges the first `index.rerank` alone.
        colour: one of kadr.index.colours.COLOURS that covers much of it.
    """

    folder: str | None = None
    after: date | None = None
    before: date | None = None
    min_side: int | None = None
    min_relevance: float | None = None
    colour: str | None = None


@dataclass(frozen=True)
class Query:
    """A question: terms, filters, and whether of near-duplicates only the best is wanted."""

    terms: tuple[Term, ...]
    filters: Filters = field(default_factory=Filters)
    fold_duplicates: bool = True

    def __post_init__(self) -> None:
        """Refuse a query of nothing. Raises SearchError."""
        if not self.terms:
            raise SearchError(f"the query is empty; say what the photo shows, e.g. {EXAMPLE}")


def photo_term(weight: float, photo: str | bytes) -> Term:
    """The term of a photo: an image_id, or the bytes of a file."""
    return Term(weight, photo=photo) if isinstance(photo, bytes) else Term(weight, image_id=photo)


def parse_query(words: str, filters: Filters | None = None) -> Query:
    """What `words` ask: terms parted by a + or - that stands alone, each with a weight before a star.

    `photo:ID` is a photo of the index. What stands in double quotes is one text, whatever is in it.

    >>> [(term.weight, term.text) for term in parse_query("dog + 2 * snow - people").terms]
    [(1.0, 'dog'), (2.0, 'snow'), (-1.0, 'people')]
    >>> [(term.weight, term.text) for term in parse_query("a t-shirt").terms]
    [(1.0, 'a t-shirt')]

    Raises:
        SearchError: there is nothing to search for, or a sign has nothing behind it.
    """
    if not words.strip():
        raise SearchError(f"the text to search for is empty; say what the photo shows, e.g. {EXAMPLE}")
    return Query(tuple(_term(sign, part, words) for sign, part in _parts(words)), filters or Filters())


def _parts(words: str) -> Iterator[tuple[float, str]]:
    """Sign and text of each part; before the first sign there need not be one."""
    sign, start = 1.0, 0
    for found in _SIGN.finditer(words):
        if found[0].startswith('"'):
            continue
        if start or words[: found.start()].strip():
            yield sign, words[start : found.start()].strip()
        sign, start = (1.0 if found[0] == "+" else -1.0), found.end()
    yield sign, words[start:].strip()


def _term(sign: float, part: str, words: str) -> Term:
    weighted = _WEIGHT.fullmatch(part)
    weight, what = (sign * float(weighted[1]), weighted[2].strip()) if weighted else (sign, part)
    if what.startswith(_PHOTO) and len(what) > len(_PHOTO):
        return Term(weight, image_id=what[len(_PHOTO) :])
    if len(what) > 1 and what[0] == what[-1] == '"' and '"' not in what[1:-1]:
        what = what[1:-1]
    if not what.strip():
        raise SearchError(f"{words!r}: a + or - has no text behind it; write e.g. {EXAMPLE}, or quote it")
    return Term(weight, text=what)
