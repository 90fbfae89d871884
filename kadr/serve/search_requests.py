"""Convert the requests of the API to queries, and matches to responses."""

from collections.abc import Collection, Mapping
from pathlib import PurePath
from typing import Any

from kadr.errors import SearchError
from kadr.search import Box, Filters, Match, Place, Query, Term, parse_query
from kadr.search.results import folder_of
from kadr.serve.api_models import ImageMetadata
from kadr.serve.search_models import SearchFilters, SearchMatch, SearchRequest

_VERSION_LENGTH = 16  # hexadecimal digits


def build_query(request: SearchRequest, favourites: Collection[str] | None = None) -> Query:
    """Convert a search request to a query.

    Args:
        request: validated search request.
        favourites: IDs of the favourite images. None if the server has no favourites.

    Returns:
        The query. It contains the terms from `request.text`, followed by `request.terms`.

    Raises:
        SearchError: the search expression or a filter is invalid.
    """
    text_terms = parse_query(request.text).terms if request.text else ()
    terms = (Term(term.weight, text=term.text, image_id=term.image_id) for term in request.terms)
    filters = build_filters(request.filters, favourites)
    return Query((*text_terms, *terms), filters, request.fold_duplicates, request.sort)


def build_filters(request: SearchFilters, favourites: Collection[str] | None = None) -> Filters:
    """Convert the filters of a request.

    Args:
        request: validated filters.
        favourites: IDs of the favourite images. None if the server has no favourites.

    Raises:
        SearchError: a filter is invalid.
    """
    values = {
        name: value
        for name, value in dict(request).items()
        if name not in ("near", "box", "favourites") and value != ""
    }
    if request.favourites and favourites is None:
        raise SearchError("The server stores no favourites. Remove the filter favourites.")
    return Filters(
        **values,
        near=Place(**dict(request.near)) if request.near else None,
        box=Box(**dict(request.box)) if request.box else None,
        image_ids=frozenset(favourites or ()) if request.favourites else None,
    )


def image_version(sha256: str | None) -> str | None:
    """Return a short string that changes with the content of an image file, or None if there is no file."""
    return None if sha256 is None else sha256[:_VERSION_LENGTH]


def search_match(match: Match) -> SearchMatch:
    """Convert a match to its form in a response."""
    return SearchMatch.model_validate(
        {
            **vars(match),
            "version": image_version(match.sha256),
            "name": PurePath(match.path).name,
            "folder": match.folder,
        }
    )


def image_metadata(row: Mapping[str, Any]) -> ImageMetadata:
    """Convert the metadata of an image to the schema of the API.

    Args:
        row: column of INDEXED_IMAGES -> value.
    """
    return ImageMetadata.model_validate({**row, "name": PurePath(row["path"]).name, "folder": folder_of(row["path"])})
