"""Request and response schemas of the HTTP API. The server publishes the schemas at /openapi.json."""

from datetime import date, datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

MAX_K = 200
MAX_OFFSET = 2000
"""Maximum offset of a page of results. The server ranks all results before the offset, so large offsets are slow."""

Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=500)]
ImageId = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
Weight = Annotated[float, Field(ge=-10, le=10, allow_inf_nan=False)]
K = Annotated[int, Field(ge=1, le=MAX_K)]
Offset = Annotated[int, Field(ge=0, le=MAX_OFFSET)]
Rater = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[^\x00-\x1f\x7f]+$", max_length=64)]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SearchTerm(_Request):
    """A text or an image to search for. A negative weight lowers the rank of images that match the text or image."""

    weight: Weight = 1.0
    text: Text | None = None
    image_id: ImageId | None = None

    @model_validator(mode="after")
    def _require_text_or_image(self) -> Self:
        if (self.text is None) == (self.image_id is None):
            raise ValueError("a term must contain either text or image_id")
        return self


class SearchFilters(_Request):
    """Conditions that every result must meet. Conditions that are null are ignored."""

    folder: Annotated[
        str | None, Field(max_length=1000, description="name or path of the folder that contains the image")
    ] = None
    after: date | None = Field(None, description="only images taken on or after this day")
    before: date | None = Field(None, description="only images taken before this day")
    min_side: Annotated[
        int | None, Field(ge=1, le=100_000, description="minimum length of the shorter side in pixels")
    ] = None
    min_relevance: Annotated[float | None, Field(ge=0, le=1, description="minimum predicted relevance, 0 to 1")] = None
    colour: Annotated[str | None, Field(max_length=40, description="dominant colour of the image")] = None


class SearchRequest(_Request):
    """A search for images by a text expression, by weighted terms, or by both."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"text": "two dogs in the snow", "k": 20},
                {"text": "dog + snow - people", "k": 20, "offset": 20},
                {"terms": [{"image_id": "beach.jpg"}, {"text": "at night", "weight": 0.5}]},
            ]
        }
    )

    text: Annotated[Text, Field(description="search expression, in the syntax of `kadr search`")] = ""
    terms: Annotated[
        list[SearchTerm], Field(max_length=16, description="weighted terms to search for in addition to `text`")
    ] = []
    filters: SearchFilters = SearchFilters()
    fold_duplicates: bool = Field(True, description="whether to return only one image per group of near-duplicates")
    k: Annotated[K, Field(description="maximum number of images to return")] = 20
    offset: Annotated[Offset, Field(description="number of results to skip")] = 0


class SearchMatch(BaseModel):
    """An image in the search results. To get the image file, request `/images/{image_id}`."""

    image_id: str
    name: str = Field(description="file name")
    score: float = Field(description="cosine similarity between query and image, -1 to 1")
    relevance: float | None = Field(description="predicted relevance, 0 to 1; null if the relevance model was not used")
    width: int | None = Field(description="pixels")
    height: int | None = Field(description="pixels")
    n_duplicates: int = Field(description="number of near-duplicates of this image that the results omit")


class ImageMetadata(BaseModel):
    """The metadata of an image in the index."""

    image_id: str
    name: str = Field(description="file name")
    split: str | None = Field(description="`train`, `test` or `corpus`; null for images indexed with `kadr index`")
    bytes: int | None = Field(description="file size in bytes")
    width: int | None = Field(description="pixels")
    height: int | None = Field(description="pixels")
    taken: datetime | None = Field(description="date and time when the camera took the photo")
    latitude: float | None = Field(description="latitude in degrees")
    longitude: float | None = Field(description="longitude in degrees")
    colours: list[str] | None = Field(description="dominant colours of the image")


class SearchResponse(BaseModel):
    """One page of search results, best first."""

    matches: list[SearchMatch]
    more: bool = Field(description="whether there are more results after this page")


class ScoreResponse(BaseModel):
    """The predicted relevance of an image for a text."""

    relevance: float = Field(description="predicted relevance, 0 to 1")


class AnnotationPair(BaseModel):
    """An image and a text to rate."""

    image_id: str
    text: str
    width: int | None = Field(description="pixels")
    height: int | None = Field(description="pixels")


class AnnotationPairsResponse(BaseModel):
    """The next image-text pairs to rate."""

    pairs: list[AnnotationPair]
    n_ratings: int = Field(description="number of ratings in the ratings file")


class RatingRequest(_Request):
    """A rating of how well a text fits an image, from 1 (not at all) to 4 (completely)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"image_id": "beach.jpg", "text": "two dogs on a beach", "rater": "ann", "rating": 4}]
        }
    )

    image_id: ImageId
    text: Annotated[Text, Field(min_length=1)]
    rater: Annotated[Rater, Field(description="name of the rater")]
    rating: Annotated[int, Field(ge=1, le=4)]


class RatingResponse(BaseModel):
    """The number of ratings after the new rating has been stored."""

    n_ratings: int = Field(description="number of ratings in the ratings file")


class HealthResponse(BaseModel):
    """The state of the server, the index and the models."""

    status: str = Field(description='always "ok"')
    n_images: int = Field(description="number of images in the index")
    encoder: str = Field(description="name of the encoder used for search")
    colours: list[str] = Field(description="colours that the colour filter accepts; empty if the index has no colours")
    relevance: bool = Field(description="whether the relevance model reranks the results")
    loaded_at: float = Field(description="time when the index and the models were loaded, in seconds since the epoch")
    up_to_date: bool = Field(description="false if the latest version could not be loaded (see the server log)")
    n_failed_reloads: int = Field(description="number of failed attempts to load a new version")
    annotation_error: str | None = Field(description="reason why ratings cannot be stored; null if they can be stored")


class ErrorResponse(BaseModel):
    """An error message that says what is wrong and how to fix it."""

    detail: str


Responses = dict[int | str, dict[str, Any]]
"""OpenAPI descriptions of responses by status code, in the format of FastAPI's `responses` argument."""

ERROR_RESPONSES: Responses = {
    400: {"model": ErrorResponse, "description": "The request body is not valid JSON or form data."},
    401: {"model": ErrorResponse, "description": "The access token is missing or wrong."},
    413: {"model": ErrorResponse, "description": "The request body is too large."},
    422: {"model": ErrorResponse, "description": "A value in the request is invalid."},
    503: {"model": ErrorResponse, "description": "The server cannot load an encoder or a model."},
}
NOT_FOUND_RESPONSE: Responses = {
    404: {"model": ErrorResponse, "description": "The image is not in the index, or its file cannot be read."}
}
