"""Generate the settings reference docs/settings.md. Run `python -m kadr.params.settings_page`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from kadr.params.encoders import IMAGE_ENCODERS, TEXT_ENCODERS, EncoderParams
from kadr.params.params_file import Params, section_model

PAGE = Path("docs/settings.md")
_HEAD = """# Settings

All settings are in the file `params.yaml`. `kadr use PRESET` writes the settings of a preset into this file. Add
`-S KEY=VALUE` to this command to change another setting. `dvc exp run -S KEY=VALUE` changes a setting for a single
experiment. If a setting is unknown, missing or invalid, the error message names its key.

The sections `decoding`, `embed`, `embed_images`, `embed_texts` and `index` are used for indexing and search. Outside of
a project, the optional file `config.yaml` can contain these sections: see [Search your own photos](start.md).

`python -m kadr.params.settings_page` generates this page from the settings models in `kadr/params`.
"""


def settings_page() -> str:
    """Return the page in Markdown, with one table per section of params.yaml and one table per encoder backend."""
    schema = Params.model_json_schema()
    sections = [_HEAD, _table(Params, schema)]
    for name, field in Params.model_fields.items():
        if model := section_model(field):
            sections += [f"## {name}\n\n{field.description}\n", _table(model, model.model_json_schema(), f"{name}.")]
    sections.append(
        "## Encoders\n\n"
        "Each encoder in `embed_images.encoders` or `embed_texts.encoders` has the settings of its backend.\n"
    )
    for kind, registry in (("Image encoder", IMAGE_ENCODERS), ("Text encoder", TEXT_ENCODERS)):
        for name in registry.names:
            model = registry.load(name).params_model
            sections += [f"### {kind}, `backend: {name}`\n", _table(model, model.model_json_schema())]
    return "\n".join(sections)


def _table(model: type[BaseModel], schema: dict[str, Any], prefix: str = "") -> str:
    rows = [f"| `{key}` | {kind} | {description} |\n" for key, kind, description in _rows(model, schema, prefix)]
    return "| Setting | Value | Description |\n|---|---|---|\n" + "".join(rows)


def _rows(model: type[BaseModel], schema: dict[str, Any], prefix: str) -> Iterator[tuple[str, str, str]]:
    for name, field in model.model_fields.items():
        inner = section_model(field)
        if inner and not prefix and model is Params:
            continue
        properties = schema["properties"][name]
        kind = "section" if inner else _kind(properties)
        default = "" if field.is_required() or inner else f" Default: {_plain(field.default)}."
        description = field.description or EncoderParams.model_fields[name].description  # a subclass may omit it
        yield f"{prefix}{name}", kind, f"{description}{default}".replace("|", "\\|")
        if inner:
            yield from _rows(inner, inner.model_json_schema(), f"{prefix}{name}.")


def _kind(schema: dict[str, Any]) -> str:
    """Describe the type and the bounds of a value in words, based on its JSON schema."""
    if "anyOf" in schema:
        return " or ".join(_kind(option) for option in schema["anyOf"])
    if "enum" in schema or "const" in schema:
        return "one of " + ", ".join(f"`{choice}`" for choice in schema.get("enum", [schema.get("const")]))
    if "prefixItems" in schema:
        return f"list of {len(schema['prefixItems'])} numbers"
    if schema.get("type") == "array":
        return f"list: {_kind(schema['items'])}"
    names = {
        "object": "mapping",
        "number": "number",
        "integer": "integer",
        "string": "text",
        "boolean": "true or false",
    }
    kind = names.get(schema.get("type", ""), schema.get("type", "value"))
    bounds = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
    limits = [f"{words} {schema[key]:g}" for key, words in bounds.items() if key in schema]
    return ", ".join([kind, *limits])


def _plain(value: object) -> str:
    return "`null`" if value is None else f"`{str(value).lower() if isinstance(value, bool) else value}`"


if __name__ == "__main__":
    PAGE.write_text(settings_page(), encoding="utf-8")
