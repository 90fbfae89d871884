"""The library room's presets: named sets of values for params.yaml, written into it with its comments kept."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.representer import RoundTripRepresenter

from kadr.errors import ParamsError
from kadr.io.storage import write_atomically
from kadr.params import parse_params


@dataclass(frozen=True)
class Change:
    """A value of params.yaml that a preset or an override changed; None where the key was not there (or is no more)."""

    key: str
    old: object
    new: object


def preset_names(folder: Path) -> list[str]:
    """Names of the presets in `folder`, sorted."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def use_preset(name: str, overrides: Sequence[str], params_path: Path, folder: Path) -> list[Change]:
    """Write the values of preset `name`, then the overrides, into params.yaml; all else in it stays as it is.

    A preset names whole values (`section.key`): a mapping such as `encoders` is replaced, not merged.

    Args:
        name: of a file NAME.yaml in `folder`.
        overrides: `section.key=value`, as `dvc exp run -S` takes them; the value is YAML.
        params_path: params.yaml.
        folder: of the presets.

    Returns:
        What changed, in the order of the file.

    Raises:
        ParamsError: no such preset, an override without `=`, or values that are not valid; nothing is written then.
    """
    names = preset_names(folder)
    if name not in names:
        raise ParamsError(f"there is no preset {name!r} in {folder}; there are: {', '.join(names) or 'none'}")
    values = _read(params_path)
    before = dict(_leaves("", values))
    for section, keys in _read(folder / f"{name}.yaml").items():
        if not isinstance(keys, CommentedMap):
            values[section] = keys
            continue
        for key, value in keys.items():
            _assign(values.setdefault(section, CommentedMap()), key, value)
    for override in overrides:
        _override(values, override)
    after = dict(_leaves("", values))
    parse_params(values, f"{params_path} with preset {name}")
    _write(values, params_path)
    keys = [*after, *(key for key in before if key not in after)]
    return [Change(key, before.get(key), after.get(key)) for key in keys if before.get(key) != after.get(key)]


def set_value(key: str, value: str, params_path: Path) -> None:
    """Write one value, given as YAML, into params.yaml; all else in it stays as it is.

    Raises:
        ParamsError: there is no such section, or the value is not valid; nothing is written then.
    """
    values = _read(params_path)
    _override(values, f"{key}={value}")
    parse_params(values, f"{params_path} with {key}: {value}")
    _write(values, params_path)


def _assign(mapping: CommentedMap, key: str, value: object) -> None:
    """Give `key` the value; a mapping is emptied and filled in place, so that the comments of its keys stay."""
    present = mapping.get(key)
    if not isinstance(present, CommentedMap) or not isinstance(value, CommentedMap):
        mapping[key] = value
        _align_comment(mapping, key)
        return
    for gone in [name for name in present if name not in value]:
        del present[gone]
    for name, inner in value.items():
        _assign(present, name, inner)


def _align_comment(mapping: CommentedMap, key: str) -> None:
    """Bring the comment behind the key's value to its neighbours' column; a long value had pushed it to the right."""
    tokens = {name: token[2] for name, token in mapping.ca.items.items() if token[2]}
    if key in tokens:
        tokens[key].start_mark.column = min(token.start_mark.column for token in tokens.values())


def _override(values: CommentedMap, override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals:
        raise ParamsError(f"-S {override}: wanted key=value, e.g. -S train.num_leaves=31")
    *sections, last = key.strip().split(".")
    inner = values
    for section in sections:
        inner = inner.get(section)
        if not isinstance(inner, CommentedMap):
            raise ParamsError(f"-S {override}: params.yaml has no section {section!r} to set {last!r} in")
    try:
        _assign(inner, last, _yaml().load(text))
    except YAMLError as error:
        raise ParamsError(f"-S {override}: the value is not valid YAML ({error})") from error


def _leaves(prefix: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, CommentedMap):
        for key, inner in value.items():
            yield from _leaves(f"{prefix}.{key}" if prefix else str(key), inner)
    else:
        yield prefix, value


class _Representer(RoundTripRepresenter):
    """Writes null as `null`, not as nothing."""

    def represent_none(self, value: None) -> ScalarNode:
        """The word, as params.yaml has it."""
        return self.represent_scalar("tag:yaml.org,2002:null", "null")


_Representer.add_representer(type(None), _Representer.represent_none)


def _yaml() -> YAML:
    yaml = YAML()
    yaml.Representer = _Representer
    yaml.preserve_quotes = True
    yaml.width = 4096  # never fold a line
    return yaml


def _read(path: Path) -> CommentedMap:
    try:
        values = _yaml().load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ParamsError(f"{path}: no such file; run this in the project's folder, or restore it with git") from error
    except YAMLError as error:
        raise ParamsError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(values, CommentedMap):
        raise ParamsError(f"{path}: wanted sections with keys, got {type(values).__name__}")
    return values


def _write(values: CommentedMap, path: Path) -> None:
    with write_atomically(path) as partial:
        _yaml().dump(values, partial)
