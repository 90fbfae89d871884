"""The library room's settings: params.yaml as frozen pydantic models, loaded once in each entry point.

A function is given its own section, never the whole and never a dict.
"""

from kadr.params.base import (
    Precision,
)
from kadr.params.encoders import (
    ImageEncoderParams,
    OpenClipParams,
    SentenceTransformersParams,
    TextEncoderParams,
    TfidfParams,
    TimmParams,
)
from kadr.params.params_file import (
    Params,
    load_params,
    parse_params,
)
from kadr.params.stages import (
    AggregateParams,
    ClipParams,
    CorpusParams,
    EmbedImagesParams,
    EmbedParams,
    EmbedTextsParams,
    EvaluateParams,
    GateParams,
    IngestParams,
    Objective,
    RayParams,
    TrainParams,
)

__all__ = [
    "AggregateParams",
    "ClipParams",
    "CorpusParams",
    "EmbedImagesParams",
    "EmbedParams",
    "EmbedTextsParams",
    "EvaluateParams",
    "GateParams",
    "ImageEncoderParams",
    "IngestParams",
    "Objective",
    "OpenClipParams",
    "Params",
    "Precision",
    "RayParams",
    "SentenceTransformersParams",
    "TextEncoderParams",
    "TfidfParams",
    "TimmParams",
    "TrainParams",
    "load_params",
    "parse_params",
]
