"""The settings of each stage: a section of params.yaml."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from kadr.params.base import Count, Name, Positive, Precision, Section, Share
from kadr.params.encoders import ImageEncoderParams, TextEncoderParams

Objective = Literal["cross_entropy", "regression", "huber"]  # LightGBM's names


class CorpusParams(Section):
    """Captioned, unrated photos; both paths are relative to `ingest.source`, so that DVC watches them."""

    captions: str
    images: str


class IngestParams(Section):
    """Stage ingest: where the raw input is and how much of it may be bad."""

    source: str
    form: Literal["auto", "single_file", "flickr8k", "long"]
    corpus: CorpusParams | None
    max_bad_rows: Share
    max_bad_images: Share
    max_pixels: Count
    near_duplicate_bits: Annotated[int, Field(ge=0, le=16)]


class AggregateParams(Section):
    """Stage aggregate: from ratings to one relevance."""

    expert: str
    crowd_weight: Annotated[float, Field(ge=0)]


class ClipParams(Section):
    """Stage clip: where the CLIP of the run comes from."""

    source: Literal["hub", "local", "train"]
    model: str | None
    pretrained: str | None
    init: str
    epochs: Count
    batch_size: Count
    learning_rate: Positive
    weight_decay: Annotated[float, Field(ge=0)]
    image_layers: Annotated[int, Field(ge=0)] | None
    text_layers: Annotated[int, Field(ge=0)] | None
    ratings: Annotated[float, Field(ge=0, lt=1)]

    @model_validator(mode="after")
    def _only_training_learns_from_ratings(self) -> "ClipParams":
        if self.ratings and self.source != "train":
            raise ValueError(f"clip.ratings wants clip.source: train, got {self.source}; set it, or clip.ratings: 0")
        return self

    @model_validator(mode="after")
    def _hub_names_a_model(self) -> "ClipParams":
        if self.source == "hub" and not (self.model and self.pretrained):
            raise ValueError(
                "clip.source: hub wants clip.model and clip.pretrained, e.g. ViT-B-32 and laion2b_s34b_b79k"
            )
        return self


class RayParams(Section):
    """Where and how broadly `embed.engine: ray` works."""

    address: str | None
    actors: Count
    cpus: Annotated[float, Field(ge=0)]
    gpus: Annotated[float, Field(ge=0)]


class EmbedParams(Section):
    """How both embed stages work: what the cache keeps, and on which machines vectors are computed."""

    vectors: Literal["float32", "float16"]
    engine: Literal["local", "ray"]
    ray: RayParams


class EmbedImagesParams(Section):
    """Stage embed_images: one instance per encoder."""

    encoders: Annotated[dict[Name, ImageEncoderParams], Field(min_length=1)]
    precision: Precision
    batch_size: Count


class EmbedTextsParams(Section):
    """Stage embed_texts: one instance per encoder."""

    encoders: Annotated[dict[Name, TextEncoderParams], Field(min_length=1)]
    precision: Precision
    batch_size: Count


class TrainParams(Section):
    """Stage train: features, folds and LightGBM."""

    experiment: str
    features: Annotated[list[str], Field(min_length=1)]
    corpus_limit: Count
    image_folds: Annotated[int, Field(ge=2)]
    query_folds: Annotated[int, Field(ge=2)]
    objective: Objective
    n_estimators: Count
    learning_rate: Positive
    num_leaves: Annotated[int, Field(ge=2)]
    min_data_in_leaf: Count
    feature_fraction: Annotated[float, Field(gt=0, le=1)]
    bagging_fraction: Annotated[float, Field(gt=0, le=1)]
    lambda_l2: Annotated[float, Field(ge=0)]
    max_bin: Annotated[int, Field(ge=2)]
    num_threads: Count


class GateParams(Section):
    """What the model must not be worse than by more than noise, or stage evaluate fails."""

    above: Literal["cosine", "concat"] | None
    champion: str | None
    figures: tuple[str, ...]


class EvaluateParams(Section):
    """Stage evaluate: intervals and gates."""

    n_bootstrap: Count
    confidence: Annotated[float, Field(gt=0, lt=1)]
    gates: GateParams


class AblateParams(Section):
    """Stage ablate: which parts are left out or changed in turn, and on which cells of the folds."""

    rows: list[str]
    cells: Literal["diagonal", "all"]


class IndexParams(Section):
    """Stage index: which photos can be searched, and how they are ranked."""

    splits: Annotated[list[Literal["train", "test", "corpus"]], Field(min_length=1)]
    rerank: Annotated[int, Field(ge=0)]
    exact_max: Count


class ReportParams(Section):
    """Stage report: the page for people."""

    n_examples: Count
