"""The settings in params.yaml, as immutable pydantic models.

A command or a stage loads the settings once. Each function receives only the section that it needs.
"""

from kadr.params.base import Precision
from kadr.params.encoders import (
    IMAGE_ENCODERS,
    TEXT_ENCODERS,
    EncoderParams,
    ImageEncoderParams,
    TextEncoderParams,
)
from kadr.params.params_file import Params, load_params, parse_params
from kadr.params.stages import (
    AGGREGATORS,
    AUTO_FORMAT,
    INPUT_FORMATS,
    AblateParams,
    AblationGroup,
    AggregateParams,
    ClipParams,
    CorpusParams,
    EmbedImagesParams,
    EmbedParams,
    EmbedTextsParams,
    EvaluateParams,
    FeatureBlock,
    GateParams,
    IndexParams,
    IngestParams,
    Objective,
    RayParams,
    ReportParams,
    TrainParams,
)

__all__ = [
    "AGGREGATORS",
    "AUTO_FORMAT",
    "IMAGE_ENCODERS",
    "INPUT_FORMATS",
    "TEXT_ENCODERS",
    "AblateParams",
    "AblationGroup",
    "AggregateParams",
    "ClipParams",
    "CorpusParams",
    "EmbedImagesParams",
    "EmbedParams",
    "EmbedTextsParams",
    "EncoderParams",
    "EvaluateParams",
    "FeatureBlock",
    "GateParams",
    "ImageEncoderParams",
    "IndexParams",
    "IngestParams",
    "Objective",
    "Params",
    "Precision",
    "RayParams",
    "ReportParams",
    "TextEncoderParams",
    "TrainParams",
    "load_params",
    "parse_params",
]
