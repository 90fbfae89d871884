"""Read and validate params.yaml."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar, get_args

import yaml
from pydantic import BaseModel, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from kadr.errors import ParamsError
from kadr.params.base import Section
from kadr.params.decoding import DecodingParams
from kadr.params.encoders import EncoderParams
from kadr.params.stages import (
    AblateParams,
    AggregateParams,
    ClipParams,
    EmbedImagesParams,
    EmbedParams,
    EmbedTextsParams,
    EvaluateParams,
    IndexParams,
    IngestParams,
    ReportParams,
    TrainParams,
)

DEFAULT_NEAR_DUPLICATE_BITS = 4
"""Value of `near_duplicate_bits` outside of a project."""

RENAMED = {"ingest.form": "ingest.format", "ingest.max_pixels": "decoding.max_pixels"}
"""Former name of a key -> current name."""

RENAMED_VALUES = {("train.features", "captioned"): "caption_neighbours"}
"""(key, former value) -> current value."""


class SearchParams(Section):
    """Settings of indexing and search. A project and the user's own index both have these settings."""

    decoding: DecodingParams = Field(
        description="Settings of the image decoder. The decoder rejects images that exceed a limit."
    )
    embed: EmbedParams = Field(description="Shared settings of the `embed_images` and `embed_texts` stages.")
    embed_images: EmbedImagesParams = Field(
        description="Settings of the `embed_images` stage, which runs the image encoders."
    )
    embed_texts: EmbedTextsParams = Field(
        description="Settings of the `embed_texts` stage, which runs the text encoders."
    )
    index: IndexParams = Field(description="Settings of the `index` stage and of search.")

    @model_validator(mode="after")
    def _check_vector_spaces(self) -> Self:
        texts = self.embed_texts.encoders
        for name, image in self.embed_images.encoders.items():
            spaces = (image.vector_space, texts[name].vector_space) if name in texts else (None, None)
            if None not in spaces and spaces[0] != spaces[1]:
                raise ValueError(
                    f"embed_images.encoders.{name} has vectors of {spaces[0]}, but embed_texts.encoders.{name} has "
                    f"vectors of {spaces[1]}. Set both to the same model, or use different names."
                )
        return self

    @model_validator(mode="after")
    def _check_shared_encoder(self) -> Self:
        if not self.shared_encoders:
            raise ValueError(
                "embed_images.encoders and embed_texts.encoders have no encoder in common. Search needs one vector "
                "space for images and texts. Add the same CLIP model to both settings, with the same name."
            )
        return self

    @property
    def shared_encoders(self) -> list[str]:
        """Names of the encoders that embed images and texts into the same vector space, in the order of params.yaml."""
        texts = self.embed_texts.encoders
        return [name for name, image in self.embed_images.encoders.items() if _is_shared(image, texts.get(name))]

    @property
    def near_duplicate_bits(self) -> int:
        """Maximum number of different bits in the perceptual hashes of near-duplicates."""
        return DEFAULT_NEAR_DUPLICATE_BITS


class Params(SearchParams):
    """All settings of a project: the content of params.yaml."""

    seed: int = Field(description="Random seed of all stages.")
    ingest: IngestParams = Field(description="Settings of the `ingest` stage, which reads and validates the raw data.")
    aggregate: AggregateParams = Field(
        description="Settings of the `aggregate` stage, which computes the relevance of each pair."
    )
    clip: ClipParams = Field(description="Settings of the `clip` stage, which loads or trains the CLIP model.")
    train: TrainParams = Field(description="Settings of the `train` stage, which trains the relevance model.")
    evaluate: EvaluateParams = Field(
        description="Settings of the `evaluate` stage, which computes metrics and checks the quality gates."
    )
    ablate: AblateParams = Field(
        description="Settings of the `ablate` stage, which compares variants of the relevance model."
    )
    report: ReportParams = Field(description="Settings of the `report` stage, which writes the HTML reports.")

    @model_validator(mode="after")
    def _check_gate_baseline(self) -> Self:
        above, baselines = self.evaluate.gates.above, self.train.baselines
        if above and above not in baselines:
            raise ValueError(
                f"evaluate.gates.above is {above}, but train.baselines is [{', '.join(baselines)}]. Add {above} to "
                "train.baselines, or set evaluate.gates.above to null."
            )
        return self

    @property
    def near_duplicate_bits(self) -> int:
        """Maximum number of different bits in the perceptual hashes of near-duplicates."""
        return self.ingest.near_duplicate_bits


SettingsModel = TypeVar("SettingsModel", bound=SearchParams)


def _is_shared(image: EncoderParams, text: EncoderParams | None) -> bool:
    """Return whether an image encoder and the text encoder of the same name use the same vector space."""
    return text is not None and (image == text or image.vector_space == text.vector_space is not None)


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Read and validate params.yaml.

    Raises:
        ParamsError: the file is missing or not valid YAML, or a setting is unknown, missing, renamed or invalid.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ParamsError(
            f"{path}: the file does not exist. Run the command in a project folder, or restore the file with git."
        ) from error
    except yaml.YAMLError as error:
        raise ParamsError(f"{path}: the file is not valid YAML ({error}). Correct it.") from error
    return parse_params(values, str(path))


def parse_params(values: object, path: str) -> Params:
    """Validate the content of params.yaml.

    Args:
        values: parsed content of the YAML file.
        path: file name for error messages.

    Raises:
        ParamsError: a setting is unknown, missing, renamed or invalid. The message lists all problems.
    """
    return parse_settings(Params, values, path)


def parse_settings(model: type[SettingsModel], values: object, path: str) -> SettingsModel:
    """Validate settings.

    Args:
        model: Params, or SearchParams for settings outside of a project.
        values: parsed content of the YAML file.
        path: file name for error messages.

    Raises:
        ParamsError: a setting is unknown, missing, renamed or invalid. The message lists all problems.
    """
    if problems := list(_renamed(values)):
        raise ParamsError(_message(path, problems))
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise ParamsError(_message(path, [_explain(problem) for problem in error.errors()])) from error


def find_field(key: str) -> FieldInfo | None:
    """Return the field of the setting with a dotted key, or None if no setting has this key.

    >>> find_field("index.rerank").description
    'Number of nearest images that the relevance model reranks. 0 ranks by cosine alone.'
    """
    model: type[BaseModel] | None = Params
    field = None
    for name in key.split("."):
        field = model.model_fields.get(name) if model else None
        model = section_model(field) if field else None
    return field


def section_model(field: FieldInfo) -> type[BaseModel] | None:
    """Return the settings model of a section field, which may be nullable. Return None for any other field."""
    for annotation in (field.annotation, *get_args(field.annotation)):
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            return annotation
    return None


def _message(path: str, problems: Sequence[str]) -> str:
    return "\n".join([f"{path} is not valid:", *(f"  {problem}" for problem in problems)])


def _renamed(values: object) -> Iterator[str]:
    """Yield an error message for each key or value that has been renamed."""
    for old, new in RENAMED.items():
        *_, last = old.split(".")
        if isinstance(section := _lookup(values, old.split(".")[:-1]), Mapping) and last in section:
            yield f"{old}: this key was renamed to {new}. Use the new name."
    for (key, old), new in RENAMED_VALUES.items():
        value = _lookup(values, key.split("."))
        if value == old or (isinstance(value, list) and old in value):
            yield f"{key}: the value {old} was renamed to {new}. Use the new name."


def _lookup(values: object, names: Sequence[str]) -> object:
    for name in names:
        values = values.get(name) if isinstance(values, Mapping) else None
    return values


def _explain(problem: ErrorDetails) -> str:
    """Return a one-line error message with the key, problem, value and description of a setting."""
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"{key}: unknown key.{_suggestion(key)} Remove the key or correct its spelling."
    description = _describe(problem)
    if problem["type"] == "missing":
        return f"{key}: missing key. Add it.{description}"
    message = problem["msg"].removeprefix("Value error, ").rstrip(".")
    if not key:
        return f"{message}."
    if problem["type"] == "value_error":
        return f"{key}: {message}."
    return f"{key}: {message}, got {problem['input']!r}.{description}"


def _describe(problem: ErrorDetails) -> str:
    key = ".".join(str(part) for part in problem["loc"] if isinstance(part, str))
    field = find_field(key)
    return f" ({field.description})" if field and field.description else ""


def _suggestion(key: str) -> str:
    section, _, last = key.rpartition(".")
    field = find_field(section) if section else None
    model: Any = section_model(field) if field else None if section else Params
    similar = difflib.get_close_matches(last, model.model_fields, 1) if model else []
    return f" Did you mean {similar[0]}?" if similar else ""
