"""Settings of the pipeline stages, with one class per section of params.yaml."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from kadr.params.base import Count, Name, NonNegative, Positive, Precision, Section, Share
from kadr.params.encoders import ImageEncoderParams, TextEncoderParams
from kadr.params.rating_scale import RatingScaleSetting
from kadr.params.stores import StoreParams
from kadr.registry import Registry

AGGREGATORS: Registry[Any] = Registry("kadr.aggregators", "aggregate.expert")
"""Registry of the aggregation methods."""

INPUT_FORMATS: Registry[Any] = Registry("kadr.formats", "ingest.format")
"""Registry of the input formats."""

AUTO_FORMAT = "auto"
"""Value of `ingest.format` that selects automatic detection of the input format."""

AUTO_ENCODING = "auto"
"""Value of `ingest.encoding` that selects automatic detection of the encoding of each text table."""

Objective = Literal["cross_entropy", "regression", "huber"]
FeatureBlock = Literal["cosine", "product", "difference", "concat", "caption_neighbours"]
Baseline = Literal["mean", "cosine", "concat"]
OcrScript = Literal["latin", "cyrillic", "eslav", "arabic", "devanagari", "el", "korean", "ta", "te", "th"]
AblationGroup = Literal["modality", "encoders", "blocks", "aggregates", "objectives", "sources"]


def _registered_aggregator(name: str) -> str:
    return AGGREGATORS.check(name)


def _registered_format(name: str) -> str:
    return name if name == AUTO_FORMAT else INPUT_FORMATS.check(name)


def _known_encoding(name: str) -> str:
    """Return the name of an encoding. Raise ValueError if Python does not know a text encoding of this name."""
    if name != AUTO_ENCODING:
        try:
            "".encode(name)
        except LookupError as error:
            raise ValueError(f"{name!r} is no known encoding. Use auto, or a name such as cp1252 or koi8-r") from error
    return name


class CorpusParams(Section):
    """Images with captions but no ratings."""

    captions: str = Field(description="Path of the caption table, relative to the source folder.")
    images: str = Field(description="Path of the folder of captioned images, relative to the source folder.")


class IngestParams(Section):
    """Settings of the `ingest` stage, which reads and validates the raw data."""

    source: str = Field(description="Folder of images, queries and ratings. `kadr fetch` downloads a remote folder.")
    format: Annotated[str, AfterValidator(_registered_format)] = Field(
        description="File format of the source folder: auto, or a name in docs/data.md, such as long."
    )
    encoding: Annotated[str, AfterValidator(_known_encoding)] = Field(
        AUTO_ENCODING, description="Encoding of text tables that are not in UTF-8: auto, or a name such as cp1252."
    )
    corpus: CorpusParams | None = Field(description="Images with captions but no ratings. null for none.")
    vectors: str | None = Field(
        None,
        description=(
            "File or folder of vectors of images without files (backend precomputed). null if each image has a file."
        ),
    )
    rating_scale: RatingScaleSetting = Field(
        description=(
            "Lowest and highest rating that raters can give: auto | [1, 5] | {expert: [1, 5], crowd: [0, 100]}. "
            "See docs/data.md."
        )
    )
    max_bad_rows: Share = Field(description="Maximum share of invalid rating rows, 0 to 1.")
    max_bad_images: Share = Field(description="Maximum share of invalid images, 0 to 1.")
    near_duplicate_bits: Annotated[int, Field(ge=0, le=16)] = Field(
        description="Near-duplicates differ in at most this number of bits of their 64-bit perceptual hashes."
    )


class AggregateParams(Section):
    """Settings of the `aggregate` stage, which computes the relevance of each pair."""

    expert: Annotated[str, AfterValidator(_registered_aggregator)] = Field(
        description=(
            "Aggregation method: graded_response | mean | median | majority | dawid_skene | glad | mace | m_msr | "
            "wawa. See docs/ratings.md."
        )
    )
    crowd_weight: NonNegative = Field(
        description="Weight of crowd votes relative to expert ratings. 0 ignores crowd votes. See docs/ratings.md."
    )


class ClipParams(Section):
    """Settings of the `clip` stage, which loads or trains the CLIP model."""

    source: Literal["hub", "local", "train", "none"] = Field(
        description=(
            "Source of the CLIP model: hub (download) | local (folder) | train (captioned images) | none (no model)."
        )
    )
    model: str | None = Field(
        description="Name of the open_clip architecture, e.g. ViT-B-32. Used only if source is hub."
    )
    pretrained: str | None = Field(
        description="Name of the pretrained weights, e.g. laion2b_s34b_b79k. Used only if source is hub."
    )
    init: str = Field(
        description=(
            "Folder of the CLIP model (source local) or of the initial model (source train), in open_clip's local-dir "
            "format."
        )
    )
    epochs: Count = Field(description="Number of training epochs over the captioned images.")
    batch_size: Count = Field(description="Number of images per training batch.")
    learning_rate: Positive = Field(description="Peak learning rate of the cosine schedule.")
    weight_decay: NonNegative = Field(
        description="Weight decay. It applies to weight matrices, but not to biases and gains."
    )
    image_layers: Annotated[int, Field(ge=0)] | None = Field(
        description="Number of layer groups to train, from the end of the image tower. 0 for none, null for all."
    )
    text_layers: Annotated[int, Field(ge=0)] | None = Field(
        description="Number of layer groups to train, from the end of the text tower. 0 for none, null for all."
    )
    ratings: Annotated[float, Field(ge=0, lt=1)] = Field(
        description="Share of the rated images and queries to use for CLIP training. The relevance model uses the rest."
    )

    @model_validator(mode="after")
    def _check_ratings_source(self) -> "ClipParams":
        if self.ratings and self.source != "train":
            raise ValueError(
                f"clip.ratings is {self.ratings}, which requires clip.source: train, but clip.source is {self.source}. "
                "Set clip.source: train, or clip.ratings: 0."
            )
        return self

    @model_validator(mode="after")
    def _check_hub_model(self) -> "ClipParams":
        if self.source == "hub" and not (self.model and self.pretrained):
            raise ValueError(
                "clip.source is hub, which requires clip.model and clip.pretrained. Set both, e.g. to ViT-B-32 and "
                "laion2b_s34b_b79k."
            )
        return self


class RayParams(Section):
    """Ray cluster and resources for `embed.engine: ray`."""

    address: str | None = Field(
        description="Address of a running Ray cluster, e.g. auto or ray://head:10001. null starts Ray on this machine."
    )
    actors: Count = Field(description="Number of worker processes. Each process loads the encoder.")
    cpus: NonNegative = Field(description="Number of CPU cores per worker process.")
    gpus: NonNegative = Field(description="Number of GPUs per worker process.")


class EmbedParams(Section):
    """Shared settings of the `embed_images` and `embed_texts` stages."""

    vectors: Literal["float32", "float16"] = Field(
        description="Data type of cached vectors: float32 | float16 (half the size)."
    )
    engine: Literal["local", "ray"] = Field(
        description="Embedding engine: local (this process) | ray (Ray Data, requires the `ray` extra)."
    )
    ray: RayParams = Field(description="Ray cluster and resources for `embed.engine: ray`.")


class EmbedImagesParams(Section):
    """Settings of the `embed_images` stage, which runs the image encoders."""

    encoders: Annotated[dict[Name, ImageEncoderParams], Field(min_length=1)] = Field(
        description="Image encoders by name. Give a CLIP model the same name in embed_images and embed_texts."
    )
    precision: Precision = Field(
        description="Floating-point precision: auto (bf16 or fp16 if faster on this machine) | fp32 | bf16 | fp16."
    )
    batch_size: Count = Field(description="Number of images per forward pass. 16 is fast on a CPU, 256 on a GPU.")


class EmbedTextsParams(Section):
    """Settings of the `embed_texts` stage, which runs the text encoders."""

    encoders: Annotated[dict[Name, TextEncoderParams], Field(min_length=1)] = Field(
        description="Text encoders by name. See docs/encoders.md."
    )
    precision: Precision = Field(
        description="Floating-point precision: auto (bf16 or fp16 if faster on this machine) | fp32 | bf16 | fp16."
    )
    batch_size: Count = Field(description="Number of texts per forward pass.")


class TrainParams(Section):
    """Settings of the `train` stage, which trains the relevance model."""

    experiment: str = Field(description="Name of the MLflow experiment.")
    features: Annotated[list[FeatureBlock], Field(min_length=1)] = Field(
        description="Feature blocks to compute: cosine, product, difference, concat, caption_neighbours."
    )
    baselines: list[Baseline] = Field(
        description="Baselines to compare the model with: mean, cosine, concat. concat takes most of the training time."
    )
    corpus_limit: Count = Field(
        description="Maximum number of captioned images for caption_neighbours. Fewer images need less memory and time."
    )
    image_folds: Annotated[int, Field(ge=2)] = Field(description="Number of image folds in cross-validation.")
    query_folds: Annotated[int, Field(ge=2)] = Field(description="Number of query folds in cross-validation.")
    objective: Objective = Field(description="LightGBM objective: cross_entropy | regression | huber.")
    n_estimators: Count = Field(description="Number of trees.")
    learning_rate: Positive = Field(description="Boosting learning rate.")
    num_leaves: Annotated[int, Field(ge=2)] = Field(description="Maximum number of leaves per tree.")
    min_data_in_leaf: Count = Field(description="Minimum number of pairs per leaf.")
    feature_fraction: Annotated[float, Field(gt=0, le=1)] = Field(
        description="Fraction of features sampled for each tree."
    )
    bagging_fraction: Annotated[float, Field(gt=0, le=1)] = Field(
        description="Fraction of pairs sampled for each tree."
    )
    lambda_l2: NonNegative = Field(description="L2 regularisation of the leaf values.")
    max_bin: Annotated[int, Field(ge=2)] = Field(description="Maximum number of histogram bins per feature.")
    num_threads: Count = Field(
        description="Number of threads. A different number can change the trained model slightly."
    )


class GateParams(Section):
    """Quality gates: comparisons that a new model must pass."""

    above: Literal["cosine", "concat"] | None = Field(
        description="Baseline in train.baselines to compare the model with: cosine | concat. null for none."
    )
    champion: str | None = Field(
        description="Folder of another model's predictions to compare with (a copy of data/predictions). null for none."
    )
    figures: tuple[str, ...] = Field(description="Names of the metrics to compare, as in metrics/evaluate.json.")


class EvaluateParams(Section):
    """Settings of the `evaluate` stage, which computes metrics and checks the quality gates."""

    n_bootstrap: Count = Field(description="Number of bootstrap resamples per confidence interval.")
    confidence: Annotated[float, Field(gt=0, lt=1)] = Field(description="Level of the confidence intervals, e.g. 0.95.")
    gates: GateParams = Field(
        description="Quality gates. The stage fails if the model is significantly worse in a comparison."
    )


class AblateParams(Section):
    """Settings of the `ablate` stage, which compares variants of the relevance model."""

    rows: list[AblationGroup] = Field(
        description="Groups of variants to train: modality, encoders, blocks, aggregates, objectives, sources."
    )
    cells: Literal["diagonal", "all"] = Field(
        description="Cross-validation cells to use: diagonal (one fifth of the pairs, 5 times as fast) | all."
    )


class IndexParams(Section):
    """Settings of the `index` stage and of search."""

    splits: Annotated[list[Literal["train", "test", "corpus"]], Field(min_length=1)] = Field(
        description="Splits whose images are indexed: train, test, corpus."
    )
    rerank: Annotated[int, Field(ge=0)] = Field(
        description="Number of nearest images that the relevance model reranks. 0 ranks by cosine alone."
    )
    exact_max: Count = Field(
        description="Maximum number of images for exact search. Larger indexes use inverted lists (IVF)."
    )
    memory_gb: Annotated[float, Field(gt=0)] | None = Field(
        0.5,
        description=(
            "Memory of the vector index in GB. Vectors that do not fit as float16 are compressed to 2, 3 or 4 bits per "
            "dimension (RaBitQ). null for no limit."
        ),
    )
    words: bool = Field(
        default=True, description="Also search the words of a query in names, folders, descriptions and image texts."
    )
    ocr: OcrScript | None = Field(
        None,
        description=(
            "Script of the text to read in photos (`kadr index`): latin (with Chinese and Japanese) | cyrillic | eslav "
            "(Russian, Ukrainian) | arabic | ... null for none. See docs/search.md."
        ),
    )
    store: StoreParams = Field(StoreParams(), description="Vector store of the search encoder.")


class ReportParams(Section):
    """Settings of the `report` stage, which writes the HTML reports."""

    n_examples: Count = Field(description="How many of the best and how many of the worst predictions to show.")
