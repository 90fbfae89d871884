"""The serve part's requests and answers, as OpenAPI shows them."""

from datetime import date, datetime
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

MAX_K = 200
MAX_OFFSET = 2000
"""Deeper pages than anyone looks at cost more than they tell: near-duplicates are folded among all before them."""
Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=500)]
ImageId = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
Weight = Annotated[float, Field(ge=-10, le=10, allow_inf_nan=False)]
K = Annotated[int, Field(ge=1, le=MAX_K)]
Offset = Annotated[int, Field(ge=0, le=MAX_OFFSET)]
Rater = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[^\x00-\x1f\x7f]+$", max_length=64)]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Part(_Request):
    """A photo or a text that the search goes towards, or away from by a negative weight."""

    weight: Weight = 1.0
    text: Text | None = None
    image_id: ImageId | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.text is None) == (self.image_id is None):
            raise ValueError("a term has either a text or an image_id")
        return self


class FilterBy(_Request):
    """Which photos may be found at all; null: any."""

    folder: Annotated[str | None, Field(max_length=1000)] = None
    after: date | None = None
    before: date | None = None
    min_side: Annotated[int | None, Field(ge=1, le=100_000)] = None
    min_relevance: Annotated[float | None, Field(ge=0, le=1)] = None
    colour: Annotated[str | None, Field(max_length=40)] = None


class SearchRequest(_Request):
    """What to search for: a text in the little language of `kadr search` ("dog + snow - people"), and further terms."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"text": "two dogs in the snow", "k": 20},
                {"text": "dog + snow - people", "k": 20, "offset": 20},
                {"terms": [{"image_id": "beach.jpg"}, {"text": "at night", "weight": 0.5}]},
            ]
        }
    )

    text: Text = ""
    terms: Annotated[list[Part], Field(max_length=16)] = []
    filters: FilterBy = FilterBy()
    fold_duplicates: bool = True
    k: K = 20
    offset: Offset = 0


class Found(BaseModel):
    """A found photo: `/photos/{image_id}` shows it, `/thumbnails/{image_id}` a small picture of it."""

    image_id: str
    name: str = Field(description="of its file")
    score: float = Field(description="cosine of query and photo")
    relevance: float | None = Field(description="what the relevance model predicts, 0..1; null where it was not asked")
    width: int | None
    height: int | None
    n_duplicates: int = Field(description="near-duplicates that this photo stands for")


class Facts(BaseModel):
    """What the index knows of a photo."""

    image_id: str
    name: str = Field(description="of its file")
    split: str | None = Field(description="of the pipeline's tables; null for photos that did not come through it")
    bytes: int | None
    width: int | None
    height: int | None
    taken: datetime | None = Field(description="by the camera's clock")
    latitude: float | None
    longitude: float | None
    colours: list[str] | None


class SearchAnswer(BaseModel):
    """The photos from `offset` on, the best first; `more` says whether there are others after them."""

    matches: list[Found]
    more: bool


class ScoreAnswer(BaseModel):
    """How well the text fits the photo, 0..1."""

    relevance: float


class PairToRate(BaseModel):
    """A photo and a text to be rated."""

    image_id: str
    text: str
    width: int | None
    height: int | None


class PairsAnswer(BaseModel):
    """The next pairs to rate, and how many ratings the file holds."""

    pairs: list[PairToRate]
    n_rated: int


class RatingRequest(_Request):
    """A mark from 1 (the text does not fit the photo at all) to 4 (it fits in all)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"image_id": "beach.jpg", "text": "two dogs on a beach", "rater": "ann", "rating": 4}]
        }
    )

    image_id: ImageId
    text: Annotated[Text, Field(min_length=1)]
    rater: Rater
    rating: Annotated[int, Field(ge=1, le=4)]


class RatingAnswer(BaseModel):
    """How many ratings the file holds now."""

    n_rated: int


class Health(BaseModel):
    """What is served."""

    status: str
    n_photos: int
    encoder: str
    colours: list[str] = Field(description="that a filter may ask for")
    relevance: bool = Field(description="whether a relevance model reorders what is found")
    loaded_at: float = Field(description="seconds since the epoch")
    newest: bool = Field(description="false where the last version cannot be loaded: the log says why")
    n_failed_reloads: int
    judging: str | None = Field(description="why no ratings are taken; null where they are")


class Problem(BaseModel):
    """What was wrong and what to do."""

    detail: str
