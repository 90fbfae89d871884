"""Request and response schemas of the routes for favourites, saved searches, near-duplicates and downloads."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from kadr.search import Sort
from kadr.serve.api_models import ImageId, RequestModel, Text
from kadr.serve.search_models import SearchFilters, SearchMatch, SearchTerm

MAX_DOWNLOADED_IMAGES = 1_000
MAX_GROUP_IMAGES = 100
"""Maximum number of images in the response for one group of near-duplicates."""

SearchName = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")
]


class FavouritesResponse(BaseModel):
    """The favourite images that are in the index."""

    image_ids: list[str] = Field(description="IDs of the images in the index, the image that was added first is first")
    n_missing: int = Field(description="number of favourites that are not in the index")


class ExportedFavourite(BaseModel):
    """A favourite image, also if it is not in the index."""

    path: str = Field(description="path or URI of the image file")
    image_id: str
    added: datetime = Field(description="time when the image was added to the favourites, in UTC")
    in_index: bool = Field(description="whether the image is in the index")


class SavedSearchRequest(RequestModel):
    """A search to save. The fields are those of `POST /search`."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"text": "two dogs in the snow", "sort": "newest"}]})

    text: Annotated[Text, Field(description="search expression, in the syntax of `kadr search`")] = ""
    terms: list[SearchTerm] = Field([], max_length=16, description="weighted terms in addition to `text`")
    filters: SearchFilters = SearchFilters()
    sort: Annotated[Sort | None, Field(description="order of the results; null for the default order")] = None
    fold_duplicates: bool = Field(True, description="whether to return only one image per group of near-duplicates")


class SavedSearchResponse(BaseModel):
    """A saved search."""

    name: str
    text: str = Field(description="search expression, in the syntax of `kadr search`")
    terms: list[SearchTerm] = Field(description="weighted terms in addition to `text`")
    filters: SearchFilters
    sort: Sort | None = Field(description="order of the results; null for the default order")
    fold_duplicates: bool = Field(description="whether to return only one image per group of near-duplicates")
    saved: datetime = Field(description="time when the search was saved, in UTC")


class SavedSearchesResponse(BaseModel):
    """All saved searches, sorted by name."""

    searches: list[SavedSearchResponse]


class DuplicateImage(SearchMatch):
    """An image in a group of near-duplicates."""

    sharpness: float | None = Field(description="variance of the Laplacian. A higher value means a sharper image")


class DuplicateGroup(BaseModel):
    """Near-duplicate images, the best image first."""

    images: list[DuplicateImage] = Field(description=f"images of the group, at most {MAX_GROUP_IMAGES}")
    best: str = Field(
        description="ID of the largest image. Of several images of this size, it is the sharpest, and then the oldest"
    )
    n_images: int = Field(description="number of images in the group")


class DuplicatesResponse(BaseModel):
    """One page of groups of near-duplicates, the largest groups first."""

    groups: list[DuplicateGroup]
    more: bool = Field(description="whether there are more groups after this page")
    n_groups: int = Field(description="number of all groups")


class DownloadRequest(RequestModel):
    """Images to download in one zip file."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"image_ids": ["beach.jpg", "dogs.jpg"]}]})

    image_ids: Annotated[list[ImageId], Field(min_length=1, max_length=MAX_DOWNLOADED_IMAGES)]


def saved_search_response(name: str, search: dict[str, Any], saved: str) -> SavedSearchResponse:
    """Convert a saved search to its response. Fields that an older or newer version saved are ignored.

    Args:
        name: name of the search.
        search: saved fields of a SavedSearchRequest.
        saved: time when the search was saved.
    """
    known = {key: value for key, value in search.items() if key in SavedSearchRequest.model_fields}
    filters = known.get("filters") or {}
    known["filters"] = {key: value for key, value in filters.items() if key in SearchFilters.model_fields}
    request = SavedSearchRequest.model_validate(known)
    return SavedSearchResponse(name=name, saved=datetime.fromisoformat(saved), **dict(request))
