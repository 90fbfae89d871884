"""Tests of the settings outside of a project, and of the names of CLIP models."""

from pathlib import Path

import pytest
import yaml

from kadr.errors import ParamsError
from kadr.params import load_params, load_user_params
from kadr.params.clip_models import NAMED_MODELS, encoder_settings, full_model_name, model_of_identity


def write_config(folder: Path, content: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(content, encoding="utf-8")
    return path


def test_without_a_settings_file_the_defaults_are_those_of_a_project(tmp_path: Path, project: Path) -> None:
    own, shared = load_user_params(tmp_path / "config.yaml"), load_params(project / "params.yaml")
    assert own.decoding == shared.decoding
    assert own.embed == shared.embed
    assert own.index.exact_max == shared.index.exact_max
    assert own.near_duplicate_bits == shared.near_duplicate_bits
    assert (own.embed_images.precision, own.embed_images.batch_size) == (
        shared.embed_images.precision,
        shared.embed_images.batch_size,
    )
    assert own.index.rerank == 0  # there is no relevance model
    assert own.embed_images.encoders["clip"].vector_space == NAMED_MODELS["small"].name


def test_the_settings_file_overrides_single_settings(tmp_path: Path) -> None:
    config = write_config(tmp_path, "model: large\nembed: {vectors: float16}\n")
    params = load_user_params(config)
    assert params.embed.vectors == "float16"
    assert params.embed.engine == "local"
    assert params.embed_texts.encoders["clip"].vector_space == NAMED_MODELS["large"].name
    params = load_user_params(config, "ViT-B-16/openai", "vit")
    assert params.shared_encoders == ["vit"]
    assert params.embed_texts.encoders["vit"].vector_space == "ViT-B-16/openai"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("train: {num_leaves: 3}", r"config\.yaml: 'train' is unknown, expected model or the sections decoding, "),
        ("model: smal", "expected small, multilingual, large, .* Did you mean small"),
        ("embed: {vectors: float8}", r"config\.yaml is not valid:\n  embed\.vectors"),
        ("just a text", r"config\.yaml: 'just a text' is unknown"),
        ("model: [", r"config\.yaml: the file is not valid YAML"),
    ],
)
def test_an_invalid_settings_file_is_an_error(content: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=message):
        load_user_params(write_config(tmp_path, content))


def test_an_empty_settings_file_changes_nothing(tmp_path: Path) -> None:
    assert load_user_params(write_config(tmp_path, "# nothing\n")) == load_user_params(tmp_path / "missing.yaml")


def test_a_model_can_be_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a b" / "clip").mkdir(parents=True)
    name = f"local-dir:{tmp_path}/a b/clip"
    assert full_model_name("a b/clip") == full_model_name("local-dir:a b/clip") == full_model_name(name) == name
    assert encoder_settings(name) == {"backend": "open_clip", "model": name, "pretrained": None}
    with pytest.raises(ParamsError, match=r"model \./clip: the folder clip does not exist.*Correct the path"):
        full_model_name("./clip")


@pytest.mark.parametrize("name", ["hf-hub:timm/ViT-B-16-SigLIP", "ViT-B-32/openai", "local-dir:/my models/clip"])
def test_the_name_of_a_model_is_found_in_an_index(name: str) -> None:
    settings = encoder_settings(name)
    identity = " ".join(part for part in ("open_clip", settings["model"], settings["pretrained"]) if part)
    assert model_of_identity(identity) == name


def test_the_named_models_exist_and_have_the_stated_size() -> None:
    import open_clip
    import torch

    for model in NAMED_MODELS.values():
        architecture, tag = model.name.split("/")
        assert tag in open_clip.list_pretrained_tags_by_model(architecture)
        with torch.device("meta"):
            clip = open_clip.create_model(architecture, load_weights=False, device="meta")
        n_parameters = sum(parameter.numel() for parameter in clip.parameters())
        assert round(n_parameters / 1e6, 1) == model.n_parameters


def test_the_built_in_settings_have_no_unknown_section(project: Path) -> None:
    values = yaml.safe_load((project / "kadr/params/defaults.yaml").read_text(encoding="utf-8"))
    assert set(values) == {"decoding", "embed", "embed_images", "embed_texts", "index"}
