"""Request and response schemas of the HTTP API. The server publishes the schemas at /openapi.json."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import UploadFile
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

MAX_K = 200

Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=500)]
ImageId = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
K = Annotated[int, Field(ge=1, le=MAX_K)]
Rater = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[^\x00-\x1f\x7f]+$", max_length=64)]


class RequestModel(BaseModel):
    """Base class of the requests. Unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class ScoreForm(RequestModel):
    """An image and a text whose relevance is predicted."""

    image: Annotated[UploadFile, Field(description="image file")]
    text: Annotated[Text, Field(min_length=1, description="a query or a caption")]


class ImageMetadata(BaseModel):
    """The metadata of an image in the index."""

    image_id: str
    name: str = Field(description="file name")
    path: str = Field(description="path or URI of the image file on the server")
    folder: str = Field(description="path or URI of the folder that contains the image")
    split: str | None = Field(description="`train`, `test` or `corpus`; null for images indexed with `kadr index`")
    bytes: int | None = Field(description="file size in bytes")
    width: int | None = Field(description="pixels")
    height: int | None = Field(description="pixels")
    taken: datetime | None = Field(description="date and time when the image was taken, null if unknown")
    taken_source: str | None = Field(
        description="origin of `taken`: exif, xmp, gps, name (of the file) or file (its modification time, often the "
        "time of a copy)"
    )
    latitude: float | None = Field(description="latitude in degrees")
    longitude: float | None = Field(description="longitude in degrees")
    colours: list[str] | None = Field(description="dominant colours of the image")
    modified: datetime | None = Field(description="time when the file was modified, in UTC")
    camera: str | None = Field(description="make and model of the camera")
    description: str | None = Field(description="title, description and keywords in the metadata of the file")
    image_text: str | None = Field(description="text that is visible in the image")


class ScoreResponse(BaseModel):
    """The predicted relevance of an image for a text."""

    relevance: float = Field(description="predicted relevance, 0 to 1")


class AnnotationPair(BaseModel):
    """An image and a text to rate."""

    image_id: str
    text: str
    version: str | None = Field(description="changes with the content of the image file, as in a search result")
    width: int | None = Field(description="pixels")
    height: int | None = Field(description="pixels")


class AnnotationPairsResponse(BaseModel):
    """The next image-text pairs to rate, and the progress of the rater."""

    pairs: list[AnnotationPair]
    next_cursor: int | None = Field(description="`cursor` of the next page; null if there are no more unrated pairs")
    n_pairs: int = Field(description="number of pairs that can be rated: suggested pairs, or results for `text`")
    n_pairs_left: int = Field(description="number of these pairs that the rater has not rated yet")
    no_pairs_reason: str | None = Field(description="why no pairs can be rated; null if there are pairs")
    steps: list[float] = Field(description="ratings that the page offers, from the worst to the best")
    n_ratings: int = Field(description="number of ratings in the ratings file")
    n_by_rater: int = Field(description="number of pairs that this rater has rated")


class RatedPair(AnnotationPair):
    """An image-text pair and its rating by one rater."""

    rating: float = Field(description="rating on the scale of the project")


class RaterRatingsResponse(BaseModel):
    """The last ratings of one rater, oldest first."""

    ratings: list[RatedPair]
    n_by_rater: int = Field(description="number of pairs that this rater has rated")


class RatingRequest(RequestModel):
    """A rating of how well a text fits an image, on the scale of the expert ratings of the project."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"image_id": "beach.jpg", "text": "two dogs on a beach", "rater": "ann", "rating": 4}]
        }
    )

    image_id: ImageId
    text: Annotated[Text, Field(min_length=1)]
    rater: Annotated[Rater, Field(description="name of the rater")]
    rating: Annotated[float, Field(description="rating on the scale, e.g. 1 (not at all) to 4 (completely)")]


class RatingResponse(BaseModel):
    """The number of ratings after a rating has been stored or withdrawn."""

    n_ratings: int = Field(description="number of ratings in the ratings file")
    n_by_rater: int = Field(description="number of pairs that this rater has rated")


class IndexingProgress(BaseModel):
    """The progress of an index that `kadr index` has not completed yet."""

    n_done: int = Field(description="number of image files that were processed")
    n_total: int = Field(description="number of image files in the indexed folders")
    updated_at: float = Field(description="time when this version was written, in seconds since the epoch")


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
    annotation_error: str | None = Field(
        description="reason why the images of the index cannot be rated; null if they can be rated"
    )
    indexing: IndexingProgress | None = Field(
        None, description="progress of an incomplete index; null if it is complete"
    )


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
