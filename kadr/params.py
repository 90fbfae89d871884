"""The library room's settings: params.yaml as frozen pydantic models, loaded once in each entry point.

A function is given its own section, never the whole and never a dict.
"""

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from kadr.errors import ParamsError

Precision = Literal["auto", "fp32", "bf16", "fp16"]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]


class Section(BaseModel):
    """A section of params.yaml: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


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

    @model_validator(mode="after")
    def _hub_names_a_model(self) -> "ClipParams":
        if self.source == "hub" and not (self.model and self.pretrained):
            raise ValueError(
                "clip.source: hub wants clip.model and clip.pretrained, e.g. ViT-B-32 and laion2b_s34b_b79k"
            )
        return self


class OpenClipParams(Section):
    """A CLIP by open_clip: `local-dir:FOLDER`, `hf-hub:NAME`, or an architecture with a `pretrained` tag."""

    backend: Literal["open_clip"]
    model: str
    pretrained: str | None


class TimmParams(Section):
    """An image encoder by timm: `local-dir:FOLDER` or a hub name; its pooled features before the classifier.

    `image_size`: pixels of a side that the model sees, null for its own; a CNN knows more of a larger photo.
    `whole_photo`: the photo squashed to a square, where the model's own preparation may cut off its ends.
    """

    backend: Literal["timm"]
    model: str
    image_size: Count | None = None
    whole_photo: bool = False


class SentenceTransformersParams(Section):
    """A text encoder by sentence-transformers: a folder, a hub name, or `package:MODULE/FOLDER` of an installed one."""

    backend: Literal["sentence_transformers"]
    model: str


class TfidfParams(Section):
    """TF-IDF of word n-grams, reduced to `dim` numbers by a truncated SVD (null: not); fitted on the training texts."""

    backend: Literal["tfidf"]
    words: Literal["as_is", "lemmas", "stems"] = "as_is"
    language: Literal["english", "russian"] = "english"
    stop_words: bool = False
    max_features: Count
    ngram_max: Count
    dim: Count | None


ImageEncoderParams = Annotated[OpenClipParams | TimmParams, Field(discriminator="backend")]
TextEncoderParams = Annotated[OpenClipParams | SentenceTransformersParams | TfidfParams, Field(discriminator="backend")]


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


class Params(Section):
    """The whole of params.yaml."""

    seed: int
    ingest: IngestParams
    aggregate: AggregateParams
    clip: ClipParams
    embed: EmbedParams
    embed_images: EmbedImagesParams
    embed_texts: EmbedTextsParams
    train: TrainParams
    evaluate: EvaluateParams
    ablate: AblateParams
    index: IndexParams
    report: ReportParams

    @model_validator(mode="after")
    def _search_needs_a_shared_space(self) -> "Params":
        if not self.shared_encoders:
            raise ValueError(
                "no encoder is in both embed_images.encoders and embed_texts.encoders; a photo is found by words only "
                "in a space that both share: give both the same CLIP under the same name"
            )
        return self

    @property
    def shared_encoders(self) -> list[str]:
        """Names of the encoders that embed photos and texts into one space, in the order of params.yaml."""
        texts = self.embed_texts.encoders
        return [name for name, image in self.embed_images.encoders.items() if texts.get(name) == image]


def parse_params(values: object, where: str) -> Params:
    """Validate what was read from `where`. Raises ParamsError that names every unknown, missing or invalid key."""
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        lines = []
        for problem in error.errors():
            key = ".".join(str(part) for part in problem["loc"]) or "(the whole file)"
            got = "" if problem["type"] in {"missing", "value_error"} else f", got {problem['input']!r}"
            lines.append(f"  {key}: {_REASONS.get(problem['type'], problem['msg'])}{got}")
        raise ParamsError(f"{where} is not valid:\n" + "\n".join(lines)) from error


_REASONS = {"extra_forbidden": "unknown key; remove it or mend its spelling", "missing": "missing key; add it"}


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Read and validate params.yaml. Raises ParamsError."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ParamsError(f"{path}: no such file; run this in the project's folder, or restore it with git") from error
    except yaml.YAMLError as error:
        raise ParamsError(f"{path} is not valid YAML: {error}") from error
    return parse_params(values, str(path))
