"""Tests of the validation of params.yaml, and of the comments in params.yaml."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from kadr.errors import ParamsError
from kadr.io.presets import apply_preset, preset_names
from kadr.params import Params, load_params, parse_params
from kadr.params.params_file import RENAMED, find_field, section_model


@pytest.fixture
def values(project: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((project / "params.yaml").read_text())
    return content


def descriptions(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str | None]]:
    for name, field in model.model_fields.items():
        yield f"{prefix}{name}", field.description
        if inner := section_model(field):
            yield from descriptions(inner, f"{prefix}{name}.")


def comments(mapping: CommentedMap, prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in mapping.items():
        token = mapping.ca.items.get(name)
        comment = token and (token[2] or (token[3] or [None])[0])
        if comment:
            yield f"{prefix}{name}", comment.value.split("\n")[0].removeprefix("#").strip()
        if isinstance(value, CommentedMap):
            yield from comments(value, f"{prefix}{name}.")


def test_every_setting_has_a_description() -> None:
    assert [key for key, description in descriptions(Params) if not description] == []


def test_comments_of_params_yaml_are_the_descriptions(project: Path) -> None:
    content = YAML().load((project / "params.yaml").read_text(encoding="utf-8"))
    assert dict(comments(content)) == dict(descriptions(Params))


def test_every_preset_is_valid(project: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(project / "params.yaml", tmp_path))
    for name in preset_names(project / "presets"):
        apply_preset(name, [], path, project / "presets")
        assert load_params(path).shared_encoders == ["clip"]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("train.num_leafs", 31, r"train\.num_leafs: unknown key\. Did you mean num_leaves\?"),
        ("train.num_leaves", "many", r"train\.num_leaves: .*got 'many'\. \(Maximum number of leaves per tree\.\)"),
        ("train.objective", "mse", r"train\.objective: .*'cross_entropy', 'regression' or 'huber', got 'mse'"),
        ("train.features", ["cosine", "nothing"], r"train\.features\.1: .*got 'nothing'"),
        ("aggregate.expert", "nothing", r"aggregate\.expert: 'nothing' is not a registered name. Choose one of .*mean"),
        ("ingest.format", "nothing", r"ingest\.format: 'nothing' is not a registered name. Choose one of .*flickr8k"),
        ("embed_images.encoders", {"a": {"backend": "nothing"}}, "expected one of open_clip, precomputed, timm"),
        ("embed_texts.encoders", {"a": {"backend": "tfidf"}}, "max_features: missing key"),
        ("ingest.form", "auto", r"ingest\.form: this key was renamed to ingest\.format"),
        ("train.features", ["captioned"], r"train\.features: the value captioned was renamed to caption_neighbours"),
    ],
)
def test_an_invalid_setting_is_an_error(values: dict[str, Any], key: str, value: object, message: str) -> None:
    section, name = key.split(".")
    values[section][name] = value
    with pytest.raises(ParamsError, match=message):
        parse_params(values, "params.yaml")


def test_a_missing_setting_is_an_error(values: dict[str, Any]) -> None:
    del values["index"]["rerank"], values["seed"]
    with pytest.raises(
        ParamsError, match=r"params\.yaml is not valid:\n  index\.rerank: missing key.*\n  seed: missing"
    ):
        parse_params(values, "params.yaml")


@pytest.mark.parametrize("content", [None, [], "text"])
def test_content_without_sections_is_an_error(content: object) -> None:
    with pytest.raises(ParamsError, match=r"params\.yaml is not valid"):
        parse_params(content, "params.yaml")


def test_search_needs_an_encoder_of_images_and_texts(values: dict[str, Any]) -> None:
    del values["embed_texts"]["encoders"]["clip"]
    with pytest.raises(ParamsError, match="have no encoder in common"):
        parse_params(values, "params.yaml")


def test_a_gate_needs_a_baseline_that_is_trained(values: dict[str, Any]) -> None:
    values["train"]["baselines"] = ["mean"]
    with pytest.raises(ParamsError, match=r"gates\.above is cosine, but train\.baselines is \[mean\]\. Add cosine"):
        parse_params(values, "params.yaml")


def test_renamed_keys_do_not_exist() -> None:
    assert [key for key in RENAMED if find_field(key)] == []
    assert [key for key in RENAMED.values() if not find_field(key)] == []
