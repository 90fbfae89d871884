"""Queries with weighted terms and filters."""

import math
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Literal, get_args

from kadr.errors import SearchError
from kadr.index.colours import COLOURS

Sort = Literal["relevance", "cosine", "newest", "oldest", "name"]
"""Order of the results."""

MAX_TERMS = 64
"""Maximum number of terms of a query."""

SORTS: tuple[Sort, ...] = get_args(Sort)

EXAMPLE = '"a dog in the snow" or "dog + snow - people"'
EMPTY_QUERY = f"The query is empty. Describe the image, e.g. {EXAMPLE}."


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
            raise SearchError(EMPTY_QUERY)
        if not -1000 <= self.weight <= 1000 or self.weight == 0:
            raise SearchError(f"The weight of a term is {self.weight}, expected a nonzero number from -1000 to 1000.")


@dataclass(frozen=True)
class Place:
    """The area within a distance of a point.

    Attributes:
        latitude: latitude of the point in degrees north, -90 to 90.
        longitude: longitude of the point in degrees east, -180 to 180.
        km: maximum distance from the point in kilometres, greater than 0.
    """

    latitude: float
    longitude: float
    km: float

    def __post_init__(self) -> None:
        """Validate the place. Raises SearchError if it is invalid."""
        _check_range("latitude of the place", self.latitude, -90, 90)
        _check_range("longitude of the place", self.longitude, -180, 180)
        if not 0 < self.km < math.inf:
            raise SearchError(f"The distance from the place is {self.km} km, expected more than 0.")


@dataclass(frozen=True)
class Box:
    """The area between two latitudes and two longitudes, in degrees.

    If `west` is greater than `east`, the box crosses the date line at 180 degrees.

    Attributes:
        south: smallest latitude, -90 to 90.
        west: longitude of the western side, -180 to 180.
        north: largest latitude, -90 to 90.
        east: longitude of the eastern side, -180 to 180.
    """

    south: float
    west: float
    north: float
    east: float

    def __post_init__(self) -> None:
        """Validate the box. Raises SearchError if it is invalid."""
        for name in ("south", "north"):
            _check_range(f"{name} side of the box", getattr(self, name), -90, 90)
        for name in ("west", "east"):
            _check_range(f"{name} side of the box", getattr(self, name), -180, 180)
        if self.south > self.north:
            raise SearchError(
                f"The south side of the box is {self.south} and the north side is {self.north}, expected south to be "
                "at most north. Write a box as SOUTH,WEST,NORTH,EAST."
            )


@dataclass(frozen=True)
class Filters:
    """Filters for the results. None turns a filter off.

    If a filter needs a property of an image that is unknown, such as its place, it excludes the image.

    Attributes:
        folder: name or path of a folder that contains the images: `holiday`, `2024/holiday` or `/home/me/photos`.
        after: only images taken on this day or later.
        before: only images taken before this day.
        min_side: minimum length of the shorter side in pixels.
        min_relevance: minimum predicted relevance, 0 to 1. Only the first `index.rerank` candidates have predictions.
        colour: dominant colour of the images, one of the keys of kadr.index.colours.COLOURS.
        name: part of the file name, or a pattern for the whole file name with `*`, `?` and `[...]`. Case is ignored.
        camera: part of the make and model of the camera. Case is ignored.
        dated: True returns only images with a capture date, False only images without one. The modification time of a
            file is not a capture date.
        near: only images taken within a distance of a point.
        box: only images taken between two latitudes and two longitudes.
        min_bytes: minimum size of the file in bytes.
        max_bytes: maximum size of the file in bytes.
        min_cosine: minimum cosine between the query and the image, -1 to 1.
        image_ids: only images with one of these IDs.
    """

    folder: str | None = None
    after: date | None = None
    before: date | None = None
    min_side: int | None = None
    min_relevance: float | None = None
    colour: str | None = None
    name: str | None = None
    camera: str | None = None
    dated: bool | None = None
    near: Place | None = None
    box: Box | None = None
    min_bytes: int | None = None
    max_bytes: int | None = None
    min_cosine: float | None = None
    image_ids: frozenset[str] | None = None

    @property
    def of_metadata(self) -> "Filters":
        """The filters that depend on the metadata of an image alone, not on the query."""
        return replace(self, min_relevance=None, min_cosine=None)

    def __post_init__(self) -> None:
        """Validate the filters. Raises SearchError if a filter is invalid."""
        if self.min_relevance is not None:
            _check_range("minimum relevance", self.min_relevance, 0, 1)
        if self.min_cosine is not None:
            _check_range("minimum cosine", self.min_cosine, -1, 1)
        if self.colour is not None and self.colour.lower() not in COLOURS:
            raise SearchError(f"The colour is {self.colour!r}, expected one of {', '.join(COLOURS)}.")
        for name in ("folder", "name", "camera"):
            if getattr(self, name) is not None and not getattr(self, name).strip():
                raise SearchError(f"The filter {name} is empty. Write a text, or remove the filter.")


@dataclass(frozen=True)
class Query:
    """A search query. A query without terms browses: it returns all images that pass the filters.

    Attributes:
        terms: terms of the query. Without terms, the matches have no cosine and no relevance.
        filters: filters for the results.
        fold_duplicates: whether to return only the best image of each group of near-duplicates. A query without terms
            returns all images.
        sort: order of the results. None sorts by relevance if the query has terms, and by date, newest first, if it has
            none. Without terms, the results cannot be sorted by relevance or cosine.
    """

    terms: tuple[Term, ...] = ()
    filters: Filters = field(default_factory=Filters)
    fold_duplicates: bool = True
    sort: Sort | None = None

    def __post_init__(self) -> None:
        """Validate the query. Raises SearchError if it is invalid."""
        if len(self.terms) > MAX_TERMS:
            raise SearchError(
                f"The query has {len(self.terms)} terms, expected at most {MAX_TERMS}. Put a text that contains + or "
                "- in quotes."
            )
        if self.terms:
            return
        if self.sort in ("relevance", "cosine"):
            raise SearchError(
                f"Without a query, the images cannot be sorted by {self.sort}. Add a query, or sort by newest, oldest "
                "or name."
            )
        for name in ("min_relevance", "min_cosine"):
            if getattr(self.filters, name) is not None:
                raise SearchError(f"The filter {name} needs a query. Add a query, or remove the filter.")

    @property
    def order(self) -> Sort:
        """Order of the results: `sort`, or the default."""
        return self.sort or ("relevance" if self.terms else "newest")


def image_term(weight: float, image: str | bytes) -> Term:
    """Return a query term for an image. The image is an image ID (str) or the content of an image file (bytes)."""
    return Term(weight, content=image) if isinstance(image, bytes) else Term(weight, image_id=image)


def _check_range(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise SearchError(f"The {name} is {value}, expected {low} to {high}.")
