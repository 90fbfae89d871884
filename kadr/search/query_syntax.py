"""The query syntax: parse a query string, and explain how it was read."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kadr.errors import SearchError
from kadr.search.query import EMPTY_QUERY, EXAMPLE, Filters, Query, Term

# Character classes of regular expressions: plus signs, and hyphens, dashes and minus signs
_PLUSES = "+\uff0b"
_DASHES = r"\-" + "\u2010\u2011\u2012\u2013\u2014\u2212\ufe63\uff0d"
_LONG_DASHES = "\u2012\u2013\u2014\u2212"
_QUOTED = "|".join(
    ('"[^"]*"', "\u201c[^\u201d]*\u201d", "\u201e[^\u201c\u201d]*[\u201c\u201d]", "\u00ab[^\u00bb]*\u00bb")
)
_QUOTED = rf"(?<![^\s(:*\u00d7{_PLUSES}{_DASHES}])(?:{_QUOTED})"  # not the inch marks of 6" pipes
_START = r"(?:^|(?<=\s))"
_SIGN = rf"(?:[{_PLUSES}]|[{_DASHES}]{{1,2}})"
_WEIGHT = r"(?:\d+(?:\.\d+)?|\.\d+)\s*[*\u00d7]\s*"
_WORD = r"[^\W\d]\S*"
_NOT_IN_DASHES = rf"(?!.*\w[{_DASHES}](?:\s|$))"  # not the first dash of "the dog -a poodle- runs"
_EMOJI = r"[\U0001f000-\U0001faff\u2600-\u27bf]\S*"
_GROUP = r"\([^()]*\)"

_SPACED_SIGN = re.compile(rf"{_QUOTED}|{_START}(?P<sign>{_SIGN})(?=\s|$)")
_SIGNED_WORD = re.compile(
    rf"{_QUOTED}|{_START}(?P<sign>{_SIGN}){_NOT_IN_DASHES}(?P<term>(?:{_WEIGHT})?(?:photo:)?(?:{_QUOTED}|{_GROUP}|{_WORD}|{_EMOJI})|{_WEIGHT}\S+)"
)
_WEIGHTED = re.compile(rf"({_WEIGHT})(.*)", re.DOTALL)
_ONE_QUOTED = re.compile(_QUOTED)
_IMAGE_PREFIX = "photo:"
_IMAGE_ID = re.compile(rf"{_IMAGE_PREFIX}\S")

_SIGN_AFTER_WORD = re.compile(rf"{_QUOTED}|(?P<found>[^\W\d]{{2,}}{_SIGN}(?=\s+(?!(?:and|or|und|oder)\b)\S))")
_SIGN_IN_WORD = re.compile(rf"{_QUOTED}|(?P<found>\b[^\W\d]{{2,}}[{_PLUSES}][^\W\d]{{2,}}\b)")
_DASH_IN_WORD = re.compile(
    rf"{_QUOTED}|(?P<found>\b[^\W\d]{{2,}}[{_LONG_DASHES}][^\W\d]{{2,}}\b)|^\s*(?P<only>[^\W\d]{{3,}}-[^\W\d]{{3,}})\s*$"
)  # a long dash between words, or a query of two words with a hyphen
_NOT = re.compile(rf"{_QUOTED}|(?P<found>\bNOT\s+\S+)")


@dataclass(frozen=True)
class Reading:
    """How a query string was read.

    Attributes:
        read_as: the query in standard form, e.g. "dog + 2*snow - people". None for a plain text.
        hints: sentences about parts of the query that could be meant in another way.
    """

    read_as: str | None
    hints: tuple[str, ...]


def parse_query(query: str, filters: Filters | None = None) -> Query:
    """Parse a query string.

    A plus, minus or dash with spaces on both sides separates two terms. A sign directly before a word or a quoted text
    adds or subtracts only this word or text. A number and `*` before a term set the weight of the term. `photo:ID`
    refers to an image in the index. A text in double quotes is a single term, even if the text contains signs.

    >>> [(term.weight, term.text) for term in parse_query("dog + 2 * snow - people").terms]
    [(1.0, 'dog'), (2.0, 'snow'), (-1.0, 'people')]
    >>> [(term.weight, term.text) for term in parse_query("a dog -people in the snow").terms]
    [(1.0, 'a dog in the snow'), (-1.0, 'people')]
    >>> [(term.weight, term.text) for term in parse_query("a t-shirt at -5 degrees").terms]
    [(1.0, 'a t-shirt at -5 degrees')]

    Raises:
        SearchError: the query or one of its terms is empty.
    """
    if not query.strip():
        raise SearchError(EMPTY_QUERY)
    return Query(tuple(_parse_terms(query)), filters or Filters())


def explain_query(query: str, terms: Sequence[Term]) -> Reading:
    """Explain how a query string was read.

    Args:
        query: query string.
        terms: terms that `parse_query` returned for it.
    """
    is_plain = len(terms) == 1 and terms[0].weight == 1 and terms[0].text is not None
    return Reading(None if is_plain else format_terms(terms), tuple(_find_hints(query)))


def format_terms(terms: Sequence[Term]) -> str:
    """Format terms as a query string that `parse_query` reads as the same terms.

    >>> format_terms(parse_query("dog \u2013 2*people +snow").terms)
    'dog - 2*people + snow'
    """
    parts: list[str] = []
    for term in terms:
        sign = "- " if term.weight < 0 else "+ " if parts else ""
        weight = "" if abs(term.weight) == 1 else f"{abs(term.weight):g}*"
        parts.append(f"{sign}{weight}{_format_operand(term)}")
    return " ".join(parts)


def _format_operand(term: Term) -> str:
    if term.text is not None:
        is_plain = _is_plain(term.text) and not _IMAGE_ID.match(term.text)
        return term.text if is_plain else _quote(term.text)
    if term.image_id is not None:
        plain = f"{_IMAGE_PREFIX}{term.image_id}"
        return plain if _is_plain(plain) else f"{_IMAGE_PREFIX}{_quote(term.image_id)}"
    return "(image file)"


def _is_plain(text: str) -> bool:
    """Return whether a text contains nothing that the query syntax could interpret."""
    special = (_SPACED_SIGN.search(text), _SIGNED_WORD.search(text), _WEIGHTED.match(text), _ONE_QUOTED.fullmatch(text))
    return not any(special)


def _quote(text: str) -> str:
    return f"\u201c{text}\u201d" if '"' in text else f'"{text}"'


def _parse_terms(query: str) -> Iterator[Term]:
    for sign, segment in _split_at_spaced_signs(query):
        signed_words = [match for match in _SIGNED_WORD.finditer(segment) if match["sign"]]
        rest = _remove(segment, signed_words)
        if rest or not signed_words or sign < 0:
            yield _parse_term(sign, rest, query)
        for match in signed_words:
            yield _parse_term(_parse_sign(match["sign"]), match["term"].rstrip(",;.!?").strip("()"), query)


def _split_at_spaced_signs(query: str) -> Iterator[tuple[float, str]]:
    """Yield the sign and the text of each segment. The sign of the first segment is optional."""
    sign, start = 1.0, 0
    for match in _SPACED_SIGN.finditer(query):
        if not match["sign"]:
            continue
        if start or query[: match.start()].strip():
            yield sign, query[start : match.start()].strip()
        sign, start = _parse_sign(match["sign"]), match.end()
    yield sign, query[start:].strip()


def _parse_sign(sign: str) -> float:
    return 1.0 if sign in _PLUSES else -1.0


def _remove(segment: str, matches: Sequence[re.Match[str]]) -> str:
    ends = [0, *(match.end() for match in matches)]
    starts = [*(match.start() for match in matches), len(segment)]
    pieces = (segment[end:start].strip() for end, start in zip(ends, starts, strict=True))
    return " ".join(piece for piece in pieces if piece)


def _parse_term(sign: float, term: str, query: str) -> Term:
    weighted = _WEIGHTED.fullmatch(term)
    weight, text = (sign * float(weighted[1].rstrip("*\u00d7 \t\n")), weighted[2].strip()) if weighted else (sign, term)
    if _IMAGE_ID.match(text):
        return Term(weight, image_id=_unquote(text[len(_IMAGE_PREFIX) :]))
    text = _unquote(text)
    if not text.strip():
        raise SearchError(
            f"Query {query!r}: a term is empty. Write e.g. {EXAMPLE}, or put a text that contains + or - in quotes."
        )
    return Term(weight, text=text)


def _unquote(text: str) -> str:
    return text[1:-1] if _ONE_QUOTED.fullmatch(text) else text


def _find_hints(query: str) -> Iterator[str]:
    for pattern in (_SIGN_AFTER_WORD, _SIGN_IN_WORD):
        if found := _first(pattern, query):
            yield f"The sign in {found!r} is part of the text. To add or subtract a text, put a space before the sign."
    if match := next((match for match in _DASH_IN_WORD.finditer(query) if match["found"] or match["only"]), None):
        found = match["found"] or match["only"]
        yield f"The dash in {found!r} is part of the text. To subtract a text, put a space before the dash."
    if found := _first(_NOT, query):
        word = found.split()[-1]
        yield f"{found!r} is part of the text. To subtract a text, write - before it, e.g. -{word}."


def _first(pattern: re.Pattern[str], query: str) -> str | None:
    return next((match["found"] for match in pattern.finditer(query) if match["found"]), None)
