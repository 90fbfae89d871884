"""The settings in params.yaml, as immutable pydantic models.

A command or a stage loads the settings once. Each function receives only the section that it needs.
"""

from kadr.params.base import Precision
from kadr.params.decoding import DecodingParams
from kadr.params.encoders import (
    IMAGE_ENCODERS,
    TEXT_ENCODERS,
    EncoderParams,
    ImageEncoderParams,
    Languages,
    TextEncoderParams,
)
from kadr.params.params_file import Params, SearchParams, load_params, parse_params
from kadr.params.rating_scale import ScaleSetting, SourceScales
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
    OcrScript,
    RayParams,
    ReportParams,
    TrainParams,
)
from kadr.params.stores import VECTOR_STORES, StoreParams
from kadr.params.user_params import load_user_params

__all__ = [
    "AGGREGATORS",
    "AUTO_FORMAT",
    "IMAGE_ENCODERS",
    "INPUT_FORMATS",
    "TEXT_ENCODERS",
    "VECTOR_STORES",
    "AblateParams",
    "AblationGroup",
    "AggregateParams",
    "ClipParams",
    "CorpusParams",
    "DecodingParams",
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
    "Languages",
    "Objective",
    "OcrScript",
    "Params",
    "Precision",
    "RayParams",
    "ReportParams",
    "ScaleSetting",
    "SearchParams",
    "SourceScales",
    "StoreParams",
    "TextEncoderParams",
    "TrainParams",
    "load_params",
    "load_user_params",
    "parse_params",
]
