"""The settings as a whole: params.yaml read and validated, once in each entry point."""

from pathlib import Path

import yaml
from pydantic import ValidationError, model_validator

from kadr.errors import ParamsError
from kadr.params.base import Section
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
