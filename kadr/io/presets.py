"""Write presets, which are named sets of settings, to params.yaml. Comments in params.yaml are kept."""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.representer import RoundTripRepresenter

from kadr.errors import ParamsError
from kadr.io.storage import write_atomically
from kadr.params import parse_params


@dataclass(frozen=True)
class ParamChange:
    """A changed setting.

    Attributes:
        key: dotted key of the setting.
        old: value before the change, None if params.yaml did not contain the key.
        new: value after the change, None if params.yaml no longer contains the key.
    """

    key: str
    old: object
    new: object


def preset_names(folder: Path) -> list[str]:
    """Return the names of the presets in a folder, sorted."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def apply_preset(name: str, overrides: Sequence[str], params_path: Path, folder: Path) -> list[ParamChange]:
    """Write the settings of a preset and the overrides to params.yaml. Other settings and comments are kept.

    A mapping such as `embed_images.encoders` is replaced, not merged.

    Args:
        name: name of the preset, without `.yaml`.
        overrides: additional settings as `section.key=value`, as in `dvc exp run -S`. The value is in YAML syntax.
        params_path: path of params.yaml.
        folder: folder of the presets.

    Returns:
        The changed settings in the order of params.yaml.

    Raises:
        ParamsError: the preset does not exist, an override has no `=`, or a setting is invalid. params.yaml is not
            changed.
    """
    names = preset_names(folder)
    if name not in names:
        raise ParamsError(f"The folder {folder} has no preset {name!r}. Its presets are: {', '.join(names) or 'none'}.")
    values = _read(params_path)
    old = dict(_leaves("", values))
    for section, keys in _read(folder / f"{name}.yaml").items():
        if not isinstance(keys, CommentedMap):
            values[section] = keys
            continue
        for key, value in keys.items():
            _assign(values.setdefault(section, CommentedMap()), key, value)
    for override in overrides:
        _override(values, override)
    new = dict(_leaves("", values))
    parse_params(values, f"{params_path} with preset {name}")
    _write(values, params_path)
    keys = [*new, *(key for key in old if key not in new)]
    return [ParamChange(key, old.get(key), new.get(key)) for key in keys if old.get(key) != new.get(key)]


def set_value(key: str, value: str, params_path: Path) -> None:
    """Write one setting to params.yaml. Other settings and comments are kept.

    Args:
        key: dotted key of the setting, `section.key`.
        value: new value in YAML syntax.
        params_path: path of params.yaml.

    Raises:
        ParamsError: the section does not exist, or the value is invalid. params.yaml is not changed.
    """
    set_values([f"{key}={value}"], params_path)


def set_values(overrides: Sequence[str], params_path: Path) -> None:
    """Write several settings to params.yaml. Other settings and comments are kept.

    Args:
        overrides: settings as `section.key=value`, as in `dvc exp run -S`. The value is in YAML syntax.
        params_path: path of params.yaml.

    Raises:
        ParamsError: an override has no `=`, or a setting is unknown or invalid. params.yaml is not changed.
    """
    values = _read(params_path)
    for override in overrides:
        _override(values, override)
    parse_params(values, f"{params_path.name} with {', '.join(overrides)}")
    _write(values, params_path)


def parse_override(override: str) -> tuple[str, Any]:
    """Return the dotted key and the value of an override.

    Args:
        override: setting as `section.key=value`, as in `dvc exp run -S`. The value is in YAML syntax.

    Raises:
        ParamsError: the override has no `=`, or the value is not valid YAML.
    """
    key, equals, text = override.partition("=")
    if not equals:
        raise ParamsError(f"-S {override}: the value is missing. Write key=value, e.g. -S train.num_leaves=31.")
    try:
        return key.strip(), _yaml().load(text)
    except YAMLError as error:
        raise ParamsError(f"-S {override}: the value is not valid YAML ({error}). Correct it.") from error


def _assign(mapping: CommentedMap, key: str, value: object) -> None:
    """Set a key of a mapping. If the old value is a mapping, update it in place to keep its comments."""
    present = mapping.get(key)
    if not isinstance(present, CommentedMap) or not isinstance(value, CommentedMap):
        mapping[key] = value
        _align_comment(mapping, key)
        return
    for removed in [name for name in present if name not in value]:
        del present[removed]
    for name, inner in value.items():
        _assign(present, name, inner)


def _align_comment(mapping: CommentedMap, key: str) -> None:
    """Align the comment of a key with the other comments, in case a long value moved it to the right."""
    tokens = {name: token[2] for name, token in mapping.ca.items.items() if token[2]}
    if key in tokens:
        tokens[key].start_mark.column = min(token.start_mark.column for token in tokens.values())


def _override(values: CommentedMap, override: str) -> None:
    key, value = parse_override(override)
    *sections, last = key.split(".")
    inner = values
    for section in sections:
        similar = difflib.get_close_matches(section, inner, 1)
        inner = inner.get(section)
        if not isinstance(inner, CommentedMap):
            raise ParamsError(
                f"-S {override}: params.yaml has no section {section!r} for the key {last!r}."
                f"{f' Did you mean {similar[0]}?' if similar else ''} Correct the key."
            )
    _assign(inner, last, value)


def _leaves(prefix: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, CommentedMap):
        for key, inner in value.items():
            yield from _leaves(f"{prefix}.{key}" if prefix else str(key), inner)
    else:
        yield prefix, value


class _Representer(RoundTripRepresenter):
    """A YAML representer that writes None as `null` instead of an empty value."""

    def represent_none(self, value: None) -> ScalarNode:
        return self.represent_scalar("tag:yaml.org,2002:null", "null")


_Representer.add_representer(type(None), _Representer.represent_none)


def _yaml() -> YAML:
    yaml = YAML()
    yaml.Representer = _Representer
    yaml.preserve_quotes = True
    yaml.width = 4096  # avoids line breaks within values
    return yaml


def _read(path: Path) -> CommentedMap:
    try:
        values = _yaml().load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ParamsError(
            f"{path}: the file does not exist. Run the command in a project folder, or restore the file with git."
        ) from error
    except YAMLError as error:
        raise ParamsError(f"{path}: the file is not valid YAML ({error}). Correct it.") from error
    if not isinstance(values, CommentedMap):
        raise ParamsError(
            f"{path}: the content has type {type(values).__name__}, expected a mapping of sections. Correct the file."
        )
    return values


def _write(values: CommentedMap, path: Path) -> None:
    with write_atomically(path) as partial:
        _yaml().dump(values, partial)
