"""Settings outside of a project: the built-in defaults, the user's settings file, and the model of the index."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from kadr.errors import ParamsError
from kadr.params.clip_models import DEFAULT_MODEL, encoder_settings, full_model_name
from kadr.params.params_file import SearchParams, parse_settings

_MODEL = "model"
_SECTIONS = tuple(SearchParams.model_fields)


def load_user_params(config: Path, model: str | None = None, encoder: str = "clip") -> SearchParams:
    """Return the settings outside of a project.

    Args:
        config: path of the optional settings file. It has the sections of SearchParams and the key `model`.
        model: name of the CLIP model. None for the model in the settings file, or the default model.
        encoder: name of the encoder in the index.

    Raises:
        ParamsError: the settings file is not valid YAML, or a setting is unknown or invalid.
    """
    own = _read_config(config)
    own_model = own.pop(_MODEL, None) or DEFAULT_MODEL
    name = full_model_name(model or str(own_model))
    merged = _merge(_defaults(), own)
    for section in ("embed_images", "embed_texts"):
        merged[section] = {"encoders": {encoder: encoder_settings(name)}} | merged[section]
    return parse_settings(SearchParams, merged, str(config))


def _read_config(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except yaml.YAMLError as error:
        raise ParamsError(f"{path}: the file is not valid YAML ({error}). Correct it.") from error
    values = {} if values is None else values
    unknown = [key for key in values if key not in (_MODEL, *_SECTIONS)] if isinstance(values, dict) else [str(values)]
    if unknown:
        raise ParamsError(
            f"{path}: {unknown[0]!r} is unknown, expected {_MODEL} or the sections {', '.join(_SECTIONS)}. Correct the "
            "file. docs/settings.md describes the sections."
        )
    return dict(values)


def _merge(defaults: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return the defaults with the values of the user. Mappings are merged."""
    merged = dict(defaults)
    for key, value in own.items():
        both_are_mappings = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both_are_mappings else value
    return merged


@cache
def _defaults() -> Mapping[str, Any]:
    values: dict[str, Any] = yaml.safe_load(files("kadr.params").joinpath("defaults.yaml").read_text(encoding="utf-8"))
    return values
