"""Queries with weighted terms and filters, and a parser for the query syntax."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date

from kadr.errors import SearchError

EXAMPLE = '"a dog in the snow" or "dog + snow - people"'
_SIGN = re.compile(r'"[^"]*"|(?:^|(?<=\s))[+-](?=\s|$)')  # a quoted text, or a sign between spaces
_WEIGHT = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*\*\s*(.*)", re.DOTALL)
_IMAGE_PREFIX = "photo:"
_EMPTY = f"The query is empty. Describe the image, e.g. {EXAMPLE}."


@dataclass(frozen=True)
class Term:
    """One term of a query: a text, an image in the index, or an image file.

    Attributes:
        weight: nonzero weight of the term, -1000 to 1000. A negative weight subtracts the term.
        text: description of the images to find.
        image_id: ID of an image in the index.
        content: bytes of an image file.
    """

    weight: float
    text: str | None = None
    image_id: str | None = None
    content: bytes | None = None

    def __post_init__(self) -> None:
        """Validate the term. Raises SearchError if it is invalid."""
        if sum(value is not None for value in (self.text, self.image_id, self.content)) != 1:
            raise SearchError("A term must have exactly one of text, image_id and content. Set one of them.")
        if self.text is not None and not self.text.strip():
            raise SearchError(_EMPTY)
        if not -1000 <= self.weight <= 1000 or self.weight == 0:
            raise SearchError(f"The weight of a term is {self.weight}, expected a nonzero number from -1000 to 1000.")


@dataclass(frozen=True)
class Filters:
    """Filters for the results. None turns a filter off.

    If the time, size or colour of an image is unknown, a filter by this property excludes the image.

    Attributes:
        folder: name or path of a folder that contains the images: `holiday`, `2024/holiday` or `/home/me/photos`.
        after: only images taken on this day or later. The modification time replaces a missing EXIF time.
        before: only images taken before this day.
        min_side: minimum length of the shorter side in pixels.
        min_relevance: minimum predicted relevance, 0 to 1. Only the first `index.rerank` candidates have predictions.
        colour: dominant colour of the images, one of the keys of kadr.index.colours.COLOURS.
    """

    folder: str | None = None
    after: date | None = None
    before: date | None = None
    min_side: int | None = None
    min_relevance: float | None = None
    colour: str | None = None


@dataclass(frozen=True)
class Query:
    """A search query.

    Attributes:
        terms: terms of the query, at least one.
        filters: filters for the results.
        fold_duplicates: whether to return only the best image of each group of near-duplicates.
    """

    terms: tuple[Term, ...]
    filters: Filters = field(default_factory=Filters)
    fold_duplicates: bool = True

    def __post_init__(self) -> None:
        """Validate the query. Raises SearchError if it has no terms."""
        if not self.terms:
            raise SearchError(_EMPTY)


def image_term(weight: float, image: str | bytes) -> Term:
    """Return a query term for an image. The image is an image ID (str) or the content of an image file (bytes)."""
    return Term(weight, content=image) if isinstance(image, bytes) else Term(weight, image_id=image)


def parse_query(query: str, filters: Filters | None = None) -> Query:
    """Parse a query string.

    A `+` or `-` with spaces on both sides separates two terms. A number and `*` before a term set the weight of the
    term. `photo:ID` refers to an image in the index. A text in double quotes is a single term, even if the text
    contains signs.

    >>> [(term.weight, term.text) for term in parse_query("dog + 2 * snow - people").terms]
    [(1.0, 'dog'), (2.0, 'snow'), (-1.0, 'people')]
    >>> [(term.weight, term.text) for term in parse_query("a t-shirt").terms]
    [(1.0, 'a t-shirt')]

    Raises:
        SearchError: the query or one of its terms is empty.
    """
    if not query.strip():
        raise SearchError(_EMPTY)
    return Query(tuple(_parse_term(sign, term, query) for sign, term in _split_terms(query)), filters or Filters())


def _split_terms(query: str) -> Iterator[tuple[float, str]]:
    """Yield the sign and the text of each term. The sign of the first term is optional."""
    sign, start = 1.0, 0
    for match in _SIGN.finditer(query):
        if match[0].startswith('"'):
            continue
        if start or query[: match.start()].strip():
            yield sign, query[start : match.start()].strip()
        sign, start = (1.0 if match[0] == "+" else -1.0), match.end()
    yield sign, query[start:].strip()


def _parse_term(sign: float, term: str, query: str) -> Term:
    weighted = _WEIGHT.fullmatch(term)
    weight, text = (sign * float(weighted[1]), weighted[2].strip()) if weighted else (sign, term)
    if text.startswith(_IMAGE_PREFIX) and len(text) > len(_IMAGE_PREFIX):
        return Term(weight, image_id=text[len(_IMAGE_PREFIX) :])
    if len(text) > 1 and text[0] == text[-1] == '"' and '"' not in text[1:-1]:
        text = text[1:-1]
    if not text.strip():
        raise SearchError(
            f"Query {query!r}: a term is empty. Write e.g. {EXAMPLE}, or put a text that contains + or - in quotes."
        )
    return Term(weight, text=text)
