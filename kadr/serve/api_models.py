"""Request and response schemas of the HTTP API, as /openapi.json shows them."""

from datetime import date, datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

MAX_K = 200
MAX_OFFSET = 2000
"""Maximum offset of a page. The cost of a page grows with its offset, because near-duplicates are grouped up to it."""

Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=500)]
ImageId = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
Weight = Annotated[float, Field(ge=-10, le=10, allow_inf_nan=False)]
K = Annotated[int, Field(ge=1, le=MAX_K)]
Offset = Annotated[int, Field(ge=0, le=MAX_OFFSET)]
Rater = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[^\x00-\x1f\x7f]+$", max_length=64)]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SearchTerm(_Request):
    """A text or an image to search for. A negative weight searches for images unlike it."""

    weight: Weight = 1.0
    text: Text | None = None
    image_id: ImageId | None = None

    @model_validator(mode="after")
    def _require_text_or_image(self) -> Self:
        if (self.text is None) == (self.image_id is None):
            raise ValueError("a term needs either text or image_id")
        return self


class SearchFilters(_Request):
    """Conditions that every result meets. A filter that is null is not applied."""

    folder: Annotated[str | None, Field(max_length=1000, description="name or path of a folder")] = None
    after: date | None = Field(None, description="taken on this day or later")
    before: date | None = Field(None, description="taken before this day")
    min_side: Annotated[int | None, Field(ge=1, le=100_000, description="minimum shorter side in pixels")] = None
    min_relevance: Annotated[float | None, Field(ge=0, le=1, description="minimum predicted relevance")] = None
    colour: Annotated[str | None, Field(max_length=40, description="name of a dominant colour")] = None


class SearchRequest(_Request):
    """A search for images by a text expression, by terms, or by both."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"text": "two dogs in the snow", "k": 20},
                {"text": "dog + snow - people", "k": 20, "offset": 20},
                {"terms": [{"image_id": "beach.jpg"}, {"text": "at night", "weight": 0.5}]},
            ]
        }
    )

    text: Annotated[Text, Field(description="text expression, as in `kadr search`")] = ""
    terms: Annotated[list[SearchTerm], Field(max_length=16, description="terms in addition to `text`")] = []
    filters: SearchFilters = SearchFilters()
    fold_duplicates: bool = Field(True, description="whether to return only the best image of near-duplicates")
    k: Annotated[K, Field(description="maximum number of images")] = 20
    offset: Annotated[Offset, Field(description="number of results to skip")] = 0


class SearchMatch(BaseModel):
    """An image in the search results. Get the file from `/images/{image_id}` or `/thumbnails/{image_id}`."""

    image_id: str
    name: str = Field(description="file name")
    score: float = Field(description="cosine similarity of query and image")
    relevance: float | None = Field(description="predicted relevance, 0 to 1; null if the model was not used")
    width: int | None = Field(description="pixels")
    height: int | None = Field(description="pixels")
    n_duplicates: int = Field(description="number of hidden near-duplicates of this image")


class ImageMetadata(BaseModel):
    """The metadata of an image in the index."""

    image_id: str
    name: str = Field(description="file name")
    split: str | None = Field(description="split in the pipeline's tables; null for images of `kadr index`")
    bytes: int | None = Field(description="file size")
    width: int | None = Field(description="pixels")
    height: int | None = Field(description="pixels")
    taken: datetime | None = Field(description="time of the camera's clock")
    latitude: float | None = Field(description="degrees")
    longitude: float | None = Field(description="degrees")
    colours: list[str] | None = Field(description="dominant colours")


class SearchResponse(BaseModel):
    """One page of search results, best first."""

    matches: list[SearchMatch]
    more: bool = Field(description="whether another page follows")


class ScoreResponse(BaseModel):
    """The predicted relevance of an image and a text."""

    relevance: float = Field(description="0 to 1")


class AnnotationPair(BaseModel):
    """An image and a text to rate."""

    image_id: str
    text: str
    width: int | None = Field(description="pixels")
    height: int | None = Field(description="pixels")


class AnnotationPairsResponse(BaseModel):
    """The next pairs to rate."""

    pairs: list[AnnotationPair]
    n_ratings: int = Field(description="number of ratings in the ratings file")


class RatingRequest(_Request):
    """A rating of an image and a text, from 1 (does not fit at all) to 4 (fits completely)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"image_id": "beach.jpg", "text": "two dogs on a beach", "rater": "ann", "rating": 4}]
        }
    )

    image_id: ImageId
    text: Annotated[Text, Field(min_length=1)]
    rater: Annotated[Rater, Field(description="name of the person who rates")]
    rating: Annotated[int, Field(ge=1, le=4)]


class RatingResponse(BaseModel):
    """The state of the ratings file after a rating was stored."""

    n_ratings: int = Field(description="number of ratings in the ratings file")


class HealthResponse(BaseModel):
    """The state of the server."""

    status: str = Field(description='always "ok"')
    n_images: int = Field(description="number of images in the index")
    encoder: str = Field(description="name of the encoder that searches the index")
    colours: list[str] = Field(description="colours that the colour filter accepts; empty if the index has none")
    relevance: bool = Field(description="whether a relevance model reorders the results")
    loaded_at: float = Field(description="load time of index and models, seconds since the epoch")
    up_to_date: bool = Field(description="false if the latest version on disk cannot be loaded; the log has the error")
    n_failed_reloads: int = Field(description="number of versions that could not be loaded")
    annotation_error: str | None = Field(description="why ratings cannot be stored; null if they can")


class ErrorResponse(BaseModel):
    """An error message: what is wrong and what to do."""

    detail: str


Responses = dict[int | str, dict[str, Any]]
"""Documentation of responses by status, as FastAPI expects it."""

ERROR_RESPONSES: Responses = {
    400: {"model": ErrorResponse, "description": "The body is not valid JSON or form data."},
    401: {"model": ErrorResponse, "description": "The access token is missing or wrong."},
    413: {"model": ErrorResponse, "description": "The body is too large."},
    422: {"model": ErrorResponse, "description": "A value is invalid."},
    503: {"model": ErrorResponse, "description": "The server cannot load an encoder or a model."},
}
NOT_FOUND_RESPONSE: Responses = {404: {"model": ErrorResponse, "description": "The index has no such image."}}
