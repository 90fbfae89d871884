"""Types of the requests and responses of the HTTP API.

`python docs/client_models.py` generates this file from the OpenAPI description of the server. Do not edit it.
"""

# ruff: noqa: E501

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class AnnotationPair(BaseModel):
    """An image and a text to rate."""

    image_id: str
    text: str
    version: Annotated[
        str | None,
        Field(description="changes with the content of the image file, as in a search result"),
    ]
    width: Annotated[int | None, Field(description="pixels")]
    height: Annotated[int | None, Field(description="pixels")]


class AnnotationPairsResponse(BaseModel):
    """The next image-text pairs to rate, and the progress of the rater."""

    pairs: list[AnnotationPair]
    next_cursor: Annotated[
        int | None,
        Field(description="`cursor` of the next page; null if there are no more unrated pairs"),
    ]
    n_pairs: Annotated[
        int,
        Field(description="number of pairs that can be rated: suggested pairs, or results for `text`"),
    ]
    n_pairs_left: Annotated[int, Field(description="number of these pairs that the rater has not rated yet")]
    no_pairs_reason: Annotated[
        str | None,
        Field(description="why no pairs can be rated; null if there are pairs"),
    ]
    steps: Annotated[
        list[float],
        Field(description="ratings that the page offers, from the worst to the best"),
    ]
    n_ratings: Annotated[int, Field(description="number of ratings in the ratings file")]
    n_by_rater: Annotated[int, Field(description="number of pairs that this rater has rated")]


class BoxFilter(BaseModel):
    """The area between two latitudes and two longitudes. If `west` > `east`, the box crosses the date line."""

    model_config = ConfigDict(
        extra="forbid",
    )
    south: Annotated[float, Field(description="degrees north")]
    west: Annotated[float, Field(description="degrees east")]
    north: Annotated[float, Field(description="degrees north")]
    east: Annotated[float, Field(description="degrees east")]


class DuplicateImage(BaseModel):
    """An image in a group of near-duplicates."""

    image_id: str
    version: Annotated[
        str | None,
        Field(
            description="changes with the content of the file. Add it to image URLs as `v` to make the images cacheable"
        ),
    ]
    name: Annotated[str, Field(description="file name")]
    path: Annotated[str, Field(description="path or URI of the image file on the server")]
    folder: Annotated[str, Field(description="path or URI of the folder that contains the image")]
    score: Annotated[
        float | None,
        Field(description="cosine similarity between query and image, -1 to 1; null if the request has no query"),
    ]
    relevance: Annotated[
        float | None,
        Field(description="predicted relevance, 0 to 1; null if the relevance model was not used"),
    ]
    width: Annotated[int | None, Field(description="pixels")]
    height: Annotated[int | None, Field(description="pixels")]
    bytes: Annotated[int | None, Field(description="file size in bytes")]
    n_duplicates: Annotated[
        int,
        Field(description="number of near-duplicates of this image that the results omit"),
    ]
    taken: Annotated[
        datetime | None,
        Field(description="date and time when the image was taken, null if unknown"),
    ]
    taken_source: Annotated[
        str | None,
        Field(
            description="origin of `taken`: exif, xmp, gps, name (of the file) or file (its modification time, often the time of a copy)"
        ),
    ]
    camera: Annotated[str | None, Field(description="make and model of the camera")]
    latitude: Annotated[float | None, Field(description="degrees north")]
    longitude: Annotated[float | None, Field(description="degrees east")]
    words: Annotated[
        dict[str, list[str]] | None,
        Field(
            description="words of the query that the image contains, by field: name (of the file), folders, description (metadata or captions) or image_text (visible in the image)"
        ),
    ] = None
    sharpness: Annotated[
        float | None,
        Field(description="variance of the Laplacian. A higher value means a sharper image"),
    ]


class ExportedFavourite(BaseModel):
    """A favourite image, also if it is not in the index."""

    path: Annotated[str, Field(description="path or URI of the image file")]
    image_id: str
    added: Annotated[
        datetime,
        Field(description="time when the image was added to the favourites, in UTC"),
    ]
    in_index: Annotated[bool, Field(description="whether the image is in the index")]


class FacetValue(BaseModel):
    """A value of a property, and the number of images that have it."""

    value: str
    count: int


class FavouritesResponse(BaseModel):
    """The favourite images that are in the index."""

    image_ids: Annotated[
        list[str],
        Field(description="IDs of the images in the index, the image that was added first is first"),
    ]
    n_missing: Annotated[int, Field(description="number of favourites that are not in the index")]


class ImageMetadata(BaseModel):
    """The metadata of an image in the index."""

    image_id: str
    name: Annotated[str, Field(description="file name")]
    path: Annotated[str, Field(description="path or URI of the image file on the server")]
    folder: Annotated[str, Field(description="path or URI of the folder that contains the image")]
    split: Annotated[
        str | None,
        Field(description="`train`, `test` or `corpus`; null for images indexed with `kadr index`"),
    ]
    bytes: Annotated[int | None, Field(description="file size in bytes")]
    width: Annotated[int | None, Field(description="pixels")]
    height: Annotated[int | None, Field(description="pixels")]
    taken: Annotated[
        datetime | None,
        Field(description="date and time when the image was taken, null if unknown"),
    ]
    taken_source: Annotated[
        str | None,
        Field(
            description="origin of `taken`: exif, xmp, gps, name (of the file) or file (its modification time, often the time of a copy)"
        ),
    ]
    latitude: Annotated[float | None, Field(description="latitude in degrees")]
    longitude: Annotated[float | None, Field(description="longitude in degrees")]
    colours: Annotated[list[str] | None, Field(description="dominant colours of the image")]
    modified: Annotated[datetime | None, Field(description="time when the file was modified, in UTC")]
    camera: Annotated[str | None, Field(description="make and model of the camera")]
    description: Annotated[
        str | None,
        Field(description="title, description and keywords in the metadata of the file"),
    ]
    image_text: Annotated[str | None, Field(description="text that is visible in the image")]


class IndexingProgress(BaseModel):
    """The progress of an index that `kadr index` has not completed yet."""

    n_done: Annotated[int, Field(description="number of image files that were processed")]
    n_total: Annotated[int, Field(description="number of image files in the indexed folders")]
    updated_at: Annotated[
        float,
        Field(description="time when this version was written, in seconds since the epoch"),
    ]


class PlaceCount(BaseModel):
    """A cell of the grid of places."""

    latitude: Annotated[float, Field(description="mean latitude of the images, in degrees north")]
    longitude: Annotated[float, Field(description="mean longitude of the images, in degrees east")]
    count: Annotated[int, Field(description="number of images in the cell")]
    image_id: Annotated[str, Field(description="ID of one of the images")]


class PlaceFilter(BaseModel):
    """The area within a distance of a point."""

    model_config = ConfigDict(
        extra="forbid",
    )
    latitude: Annotated[float, Field(description="degrees north")]
    longitude: Annotated[float, Field(description="degrees east")]
    km: Annotated[float, Field(description="maximum distance in kilometres")]


class RatedPair(BaseModel):
    """An image-text pair and its rating by one rater."""

    image_id: str
    text: str
    version: Annotated[
        str | None,
        Field(description="changes with the content of the image file, as in a search result"),
    ]
    width: Annotated[int | None, Field(description="pixels")]
    height: Annotated[int | None, Field(description="pixels")]
    rating: Annotated[float, Field(description="rating on the scale of the project")]


class RaterRatingsResponse(BaseModel):
    """The last ratings of one rater, oldest first."""

    ratings: list[RatedPair]
    n_by_rater: Annotated[int, Field(description="number of pairs that this rater has rated")]


class RatingRequest(BaseModel):
    """A rating of how well a text fits an image, on the scale of the expert ratings of the project."""

    model_config = ConfigDict(
        extra="forbid",
    )
    image_id: str
    text: str
    rater: Annotated[str, Field(description="name of the rater")]
    rating: Annotated[
        float,
        Field(description="rating on the scale, e.g. 1 (not at all) to 4 (completely)"),
    ]


class RatingResponse(BaseModel):
    """The number of ratings after a rating has been stored or withdrawn."""

    n_ratings: Annotated[int, Field(description="number of ratings in the ratings file")]
    n_by_rater: Annotated[int, Field(description="number of pairs that this rater has rated")]


class ScoreResponse(BaseModel):
    """The predicted relevance of an image for a text."""

    relevance: Annotated[float, Field(description="predicted relevance, 0 to 1")]


class SearchFilters(BaseModel):
    """Conditions that every result must meet. Conditions that are null are ignored.

    If a condition needs a property of an image that is unknown, such as its place, the image is excluded.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    folder: Annotated[
        str | None,
        Field(description="name or path of a folder that contains the image"),
    ] = None
    name: Annotated[
        str | None,
        Field(
            description="part of the file name, or a pattern for the whole file name with *, ? and [...]. Case is ignored"
        ),
    ] = None
    camera: Annotated[
        str | None,
        Field(description="part of the make and model of the camera. Case is ignored"),
    ] = None
    colour: Annotated[str | None, Field(description="dominant colour of the image")] = None
    after: Annotated[date | None, Field(description="only images taken on or after this day")] = None
    before: Annotated[date | None, Field(description="only images taken before this day")] = None
    dated: Annotated[
        bool | None,
        Field(
            description="true: only images with a capture date; false: only images without one. The modification time of a file is not a capture date"
        ),
    ] = None
    near: Annotated[
        PlaceFilter | None,
        Field(description="only images taken within a distance of a point"),
    ] = None
    box: Annotated[
        BoxFilter | None,
        Field(description="only images taken between two latitudes and two longitudes"),
    ] = None
    min_side: Annotated[int | None, Field(description="minimum length of the shorter side in pixels")] = None
    min_bytes: Annotated[int | None, Field(description="minimum size of the file in bytes")] = None
    max_bytes: Annotated[int | None, Field(description="maximum size of the file in bytes")] = None
    min_relevance: Annotated[
        float | None,
        Field(description="minimum predicted relevance, 0 to 1. Needs a query"),
    ] = None
    min_cosine: Annotated[
        float | None,
        Field(description="minimum cosine of query and image, -1 to 1. Needs a query"),
    ] = None
    favourites: Annotated[
        bool | None,
        Field(description="whether to return only images in the list of favourites"),
    ] = False


class SearchMatch(BaseModel):
    """An image in the search results. To get the image file, request `/images/{image_id}`."""

    image_id: str
    version: Annotated[
        str | None,
        Field(
            description="changes with the content of the file. Add it to image URLs as `v` to make the images cacheable"
        ),
    ]
    name: Annotated[str, Field(description="file name")]
    path: Annotated[str, Field(description="path or URI of the image file on the server")]
    folder: Annotated[str, Field(description="path or URI of the folder that contains the image")]
    score: Annotated[
        float | None,
        Field(description="cosine similarity between query and image, -1 to 1; null if the request has no query"),
    ]
    relevance: Annotated[
        float | None,
        Field(description="predicted relevance, 0 to 1; null if the relevance model was not used"),
    ]
    width: Annotated[int | None, Field(description="pixels")]
    height: Annotated[int | None, Field(description="pixels")]
    bytes: Annotated[int | None, Field(description="file size in bytes")]
    n_duplicates: Annotated[
        int,
        Field(description="number of near-duplicates of this image that the results omit"),
    ]
    taken: Annotated[
        datetime | None,
        Field(description="date and time when the image was taken, null if unknown"),
    ]
    taken_source: Annotated[
        str | None,
        Field(
            description="origin of `taken`: exif, xmp, gps, name (of the file) or file (its modification time, often the time of a copy)"
        ),
    ]
    camera: Annotated[str | None, Field(description="make and model of the camera")]
    latitude: Annotated[float | None, Field(description="degrees north")]
    longitude: Annotated[float | None, Field(description="degrees east")]
    words: Annotated[
        dict[str, list[str]] | None,
        Field(
            description="words of the query that the image contains, by field: name (of the file), folders, description (metadata or captions) or image_text (visible in the image)"
        ),
    ] = None


class SearchResponse(BaseModel):
    """One page of search results, in the requested order."""

    matches: list[SearchMatch]
    more: Annotated[bool, Field(description="whether there are more results after this page")]
    n_images: Annotated[
        int | None,
        Field(
            description="number of images that pass the filters, without min_relevance and min_cosine. Without a query, it is the number of results"
        ),
    ] = 0
    read_as: Annotated[
        str | None,
        Field(description="how `text` was read, if it was read as several terms"),
    ] = None
    hints: Annotated[
        list[str] | None,
        Field(description="parts of `text` that could be meant in another way, or that the encoders cannot know"),
    ] = []


class SearchTerm(BaseModel):
    """A text or an image to search for. A negative weight lowers the rank of images that match the text or image."""

    model_config = ConfigDict(
        extra="forbid",
    )
    weight: float | None = 1.0
    text: str | None = None
    image_id: str | None = None


class DuplicateGroup(BaseModel):
    """Near-duplicate images, the best image first."""

    images: Annotated[list[DuplicateImage], Field(description="images of the group, at most 100")]
    best: Annotated[
        str,
        Field(
            description="ID of the largest image. Of several images of this size, it is the sharpest, and then the oldest"
        ),
    ]
    n_images: Annotated[int, Field(description="number of images in the group")]


class DuplicatesResponse(BaseModel):
    """One page of groups of near-duplicates, the largest groups first."""

    groups: list[DuplicateGroup]
    more: Annotated[bool, Field(description="whether there are more groups after this page")]
    n_groups: Annotated[int, Field(description="number of all groups")]


class FacetsResponse(BaseModel):
    """Numbers of images by property.

    The counts of a property are under all filters except the filter on this property. Places are counted under all
    filters. The filters min_relevance and min_cosine are ignored.
    """

    n_images: Annotated[int, Field(description="number of images that pass all filters")]
    folders: Annotated[
        list[FacetValue],
        Field(description="paths of folders, sorted. A folder counts the images in its subfolders, too"),
    ]
    months: Annotated[
        list[FacetValue],
        Field(
            description="months such as 2024-05, newest first. They include images whose only date is the modification time of the file"
        ),
    ]
    cameras: Annotated[
        list[FacetValue],
        Field(description="makes and models of the cameras, most frequent first"),
    ]
    colours: Annotated[list[FacetValue], Field(description="dominant colours, most frequent first")]
    n_undated: Annotated[
        int,
        Field(description="number of images without a capture date (filter `dated: false`)"),
    ]
    n_with_place: Annotated[int, Field(description="number of images with a place")]
    places: Annotated[
        list[PlaceCount],
        Field(description="cells of a grid with images, most images first, at most 2,000"),
    ]


class HealthResponse(BaseModel):
    """The state of the server, the index and the models."""

    status: Annotated[str, Field(description='always "ok"')]
    n_images: Annotated[int, Field(description="number of images in the index")]
    encoder: Annotated[str, Field(description="name of the encoder used for search")]
    colours: Annotated[
        list[str],
        Field(description="colours that the colour filter accepts; empty if the index has no colours"),
    ]
    relevance: Annotated[bool, Field(description="whether the relevance model reranks the results")]
    loaded_at: Annotated[
        float,
        Field(description="time when the index and the models were loaded, in seconds since the epoch"),
    ]
    up_to_date: Annotated[
        bool,
        Field(description="false if the latest version could not be loaded (see the server log)"),
    ]
    n_failed_reloads: Annotated[int, Field(description="number of failed attempts to load a new version")]
    annotation_error: Annotated[
        str | None,
        Field(description="reason why the images of the index cannot be rated; null if they can be rated"),
    ]
    indexing: Annotated[
        IndexingProgress | None,
        Field(description="progress of an incomplete index; null if it is complete"),
    ] = None


class SavedSearchRequest(BaseModel):
    """A search to save. The fields are those of `POST /search`."""

    model_config = ConfigDict(
        extra="forbid",
    )
    text: Annotated[
        str | None,
        Field(description="search expression, in the syntax of `kadr search`"),
    ] = ""
    terms: Annotated[
        list[SearchTerm] | None,
        Field(description="weighted terms in addition to `text`", validate_default=True),
    ] = []
    filters: SearchFilters | None = None
    sort: Annotated[
        Literal["relevance", "cosine", "newest", "oldest", "name"] | None,
        Field(description="order of the results; null for the default order"),
    ] = None
    fold_duplicates: Annotated[
        bool | None,
        Field(description="whether to return only one image per group of near-duplicates"),
    ] = True


class SavedSearchResponse(BaseModel):
    """A saved search."""

    name: str
    text: Annotated[str, Field(description="search expression, in the syntax of `kadr search`")]
    terms: Annotated[list[SearchTerm], Field(description="weighted terms in addition to `text`")]
    filters: SearchFilters
    sort: Annotated[
        Literal["relevance", "cosine", "newest", "oldest", "name"] | None,
        Field(description="order of the results; null for the default order"),
    ]
    fold_duplicates: Annotated[
        bool,
        Field(description="whether to return only one image per group of near-duplicates"),
    ]
    saved: Annotated[datetime, Field(description="time when the search was saved, in UTC")]


class SavedSearchesResponse(BaseModel):
    """All saved searches, sorted by name."""

    searches: list[SavedSearchResponse]


class SearchRequest(BaseModel):
    """A search for images by a text expression, by weighted terms, or by both. Without them, the request browses."""

    model_config = ConfigDict(
        extra="forbid",
    )
    text: Annotated[
        str | None,
        Field(description="search expression, in the syntax of `kadr search`"),
    ] = ""
    terms: Annotated[
        list[SearchTerm] | None,
        Field(description="weighted terms to search for in addition to `text`"),
    ] = None
    filters: SearchFilters | None = None
    sort: Annotated[
        Literal["relevance", "cosine", "newest", "oldest", "name"] | None,
        Field(
            description="order of the results; null sorts by relevance with a query, and newest first without one. With a query, newest, oldest and name sort the best 200 results, or all results with at least min_cosine"
        ),
    ] = None
    fold_duplicates: Annotated[
        bool | None,
        Field(description="whether a query returns only one image per group of near-duplicates"),
    ] = True
    k: Annotated[int | None, Field(description="maximum number of images to return")] = 20
    offset: Annotated[int | None, Field(description="number of results to skip")] = 0
