"""Request and response schemas of the routes for search and browsing."""

from datetime import date, datetime
from typing import Annotated, Self

from fastapi import UploadFile
from pydantic import BaseModel, ConfigDict, Field, Json, StringConstraints, model_validator

from kadr.search import Sort
from kadr.serve.api_models import ImageId, K, RequestModel, Text

MAX_RANKED = 100_000
"""Maximum number of results of a query. A request without a query has no limit."""

_MAX_IMAGES = 1_000_000_000

SearchText = Annotated[str, StringConstraints(strip_whitespace=True, max_length=4000)]
Latitude = Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False, description="degrees north")]
Longitude = Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False, description="degrees east")]
Offset = Annotated[int, Field(ge=0, le=_MAX_IMAGES, description="number of results to skip")]
Weight = Annotated[float, Field(ge=-10, le=10, allow_inf_nan=False)]
FileSize = Annotated[int, Field(ge=0, le=2**62)]


class SearchTerm(RequestModel):
    """A text or an image to search for. A negative weight lowers the rank of images that match the text or image."""

    weight: Weight = 1.0
    text: Text | None = None
    image_id: ImageId | None = None

    @model_validator(mode="after")
    def _require_text_or_image(self) -> Self:
        if (self.text is None) == (self.image_id is None):
            raise ValueError("a term must contain either text or image_id")
        return self


class PlaceFilter(RequestModel):
    """The area within a distance of a point."""

    latitude: Latitude
    longitude: Longitude
    km: Annotated[float, Field(gt=0, le=25_000, allow_inf_nan=False, description="maximum distance in kilometres")]


class BoxFilter(RequestModel):
    """The area between two latitudes and two longitudes. If `west` > `east`, the box crosses the date line."""

    south: Latitude
    west: Longitude
    north: Latitude
    east: Longitude


class SearchFilters(RequestModel):
    """Conditions that every result must meet. Conditions that are null are ignored.

    If a condition needs a property of an image that is unknown, such as its place, the image is excluded.
    """

    folder: Annotated[
        str | None, Field(max_length=1000, description="name or path of a folder that contains the image")
    ] = None
    name: Annotated[
        str | None,
        Field(
            max_length=1000,
            description="part of the file name, or a pattern for the whole file name with *, ? and [...]. Case is "
            "ignored",
        ),
    ] = None
    camera: Annotated[
        str | None, Field(max_length=200, description="part of the make and model of the camera. Case is ignored")
    ] = None
    colour: Annotated[str | None, Field(max_length=40, description="dominant colour of the image")] = None
    after: date | None = Field(None, description="only images taken on or after this day")
    before: date | None = Field(None, description="only images taken before this day")
    dated: bool | None = Field(
        None,
        description="true: only images with a capture date; false: only images without one. The modification time of "
        "a file is not a capture date",
    )
    near: PlaceFilter | None = Field(None, description="only images taken within a distance of a point")
    box: BoxFilter | None = Field(None, description="only images taken between two latitudes and two longitudes")
    min_side: Annotated[
        int | None, Field(ge=1, le=100_000, description="minimum length of the shorter side in pixels")
    ] = None
    min_bytes: FileSize | None = Field(None, description="minimum size of the file in bytes")
    max_bytes: FileSize | None = Field(None, description="maximum size of the file in bytes")
    min_relevance: Annotated[
        float | None, Field(ge=0, le=1, description="minimum predicted relevance, 0 to 1. Needs a query")
    ] = None
    min_cosine: Annotated[
        float | None, Field(ge=-1, le=1, description="minimum cosine of query and image, -1 to 1. Needs a query")
    ] = None
    favourites: bool = Field(False, description="whether to return only images in the list of favourites")


class SearchRequest(RequestModel):
    """A search for images by a text expression, by weighted terms, or by both. Without them, the request browses."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"text": "two dogs in the snow", "k": 20},
                {"text": "dog + snow - people", "k": 20, "offset": 20},
                {"terms": [{"image_id": "beach.jpg"}, {"text": "at night", "weight": 0.5}]},
                {"filters": {"folder": "holiday", "dated": True}, "sort": "oldest"},
            ]
        }
    )

    text: Annotated[SearchText, Field(description="search expression, in the syntax of `kadr search`")] = ""
    terms: list[SearchTerm] = Field(
        default_factory=list, max_length=16, description="weighted terms to search for in addition to `text`"
    )
    filters: SearchFilters = SearchFilters()
    sort: Sort | None = Field(
        None,
        description="order of the results; null sorts by relevance with a query, and newest first without one. With a "
        "query, newest, oldest and name sort the best 200 results, or all results with at least min_cosine",
    )
    fold_duplicates: bool = Field(
        True, description="whether a query returns only one image per group of near-duplicates"
    )
    k: Annotated[K, Field(description="maximum number of images to return")] = 20
    offset: Offset = 0


class SimilarForm(RequestModel):
    """A search for images that are similar to an image in the index or to an uploaded image."""

    image_id: Annotated[ImageId | None, Field(description="ID of an image in the index")] = None
    image: Annotated[UploadFile | None, Field(description="image file to send instead of image_id")] = None
    text: Annotated[SearchText, Field(description="search expression to add to the image")] = ""
    terms: Json[Annotated[list[SearchTerm], Field(max_length=15)]] | None = Field(
        None, description="weighted terms to add to the image, as a JSON list of the terms in `/search`"
    )
    filters: Json[SearchFilters] | None = Field(
        None, description="filters as a JSON object, with the fields of `filters` in `/search`"
    )
    sort: Sort | None = Field(None, description="order of the results, as in `/search`")
    fold_duplicates: bool = Field(True, description="whether to return only one image per group of near-duplicates")
    k: Annotated[K, Field(description="maximum number of images to return")] = 20
    offset: Offset = 0


class SearchMatch(BaseModel):
    """An image in the search results. To get the image file, request `/images/{image_id}`."""

    image_id: str
    version: str | None = Field(
        description="changes with the content of the file. Add it to image URLs as `v` to make the images cacheable"
    )
    name: str = Field(description="file name")
    path: str = Field(description="path or URI of the image file on the server")
    folder: str = Field(description="path or URI of the folder that contains the image")
    score: float | None = Field(
        description="cosine similarity between query and image, -1 to 1; null if the request has no query"
    )
    relevance: float | None = Field(description="predicted relevance, 0 to 1; null if the relevance model was not used")
    width: int | None = Field(description="pixels")
    height: int | None = Field(description="pixels")
    bytes: int | None = Field(description="file size in bytes")
    n_duplicates: int = Field(description="number of near-duplicates of this image that the results omit")
    taken: datetime | None = Field(description="date and time when the image was taken, null if unknown")
    taken_source: str | None = Field(
        description="origin of `taken`: exif, xmp, gps, name (of the file) or file (its modification time, often the "
        "time of a copy)"
    )
    camera: str | None = Field(description="make and model of the camera")
    latitude: float | None = Field(description="degrees north")
    longitude: float | None = Field(description="degrees east")
    words: dict[str, list[str]] = Field(
        {},
        description="words of the query that the image contains, by field: name (of the file), folders, description "
        "(metadata or captions) or image_text (visible in the image)",
    )


class SearchResponse(BaseModel):
    """One page of search results, in the requested order."""

    matches: list[SearchMatch]
    more: bool = Field(description="whether there are more results after this page")
    n_images: int = Field(
        0,
        description="number of images that pass the filters, without min_relevance and min_cosine. Without a query, it "
        "is the number of results",
    )
    read_as: str | None = Field(None, description="how `text` was read, if it was read as several terms")
    hints: list[str] = Field(
        [], description="parts of `text` that could be meant in another way, or that the encoders cannot know"
    )


class FacetsRequest(RequestModel):
    """Filters whose images are counted."""

    filters: SearchFilters = SearchFilters()


class FacetValue(BaseModel):
    """A value of a property, and the number of images that have it."""

    value: str
    count: int


class PlaceCount(BaseModel):
    """A cell of the grid of places."""

    latitude: float = Field(description="mean latitude of the images, in degrees north")
    longitude: float = Field(description="mean longitude of the images, in degrees east")
    count: int = Field(description="number of images in the cell")
    image_id: str = Field(description="ID of one of the images")


class FacetsResponse(BaseModel):
    """Numbers of images by property.

    The counts of a property are under all filters except the filter on this property. Places are counted under all
    filters. The filters min_relevance and min_cosine are ignored.
    """

    n_images: int = Field(description="number of images that pass all filters")
    folders: list[FacetValue] = Field(
        description="paths of folders, sorted. A folder counts the images in its subfolders, too"
    )
    months: list[FacetValue] = Field(
        description="months such as 2024-05, newest first. They include images whose only date is the modification "
        "time of the file"
    )
    cameras: list[FacetValue] = Field(description="makes and models of the cameras, most frequent first")
    colours: list[FacetValue] = Field(description="dominant colours, most frequent first")
    n_undated: int = Field(description="number of images without a capture date (filter `dated: false`)")
    n_with_place: int = Field(description="number of images with a place")
    places: list[PlaceCount] = Field(description="cells of a grid with images, most images first, at most 2,000")
