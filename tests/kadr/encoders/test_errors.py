"""Error messages for encoders that cannot be loaded, checkpoints from other libraries, and precision on a CPU."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image

from kadr.encoders import ImageEncoder, fit_text_encoder, load_image_encoder
from kadr.encoders.open_clip import OpenClipParams
from kadr.encoders.sentence_transformers import SentenceTransformersParams
from kadr.encoders.timm import TimmParams
from kadr.encoders.torch_models import resolve_precision, weights_sha256
from kadr.errors import EncoderError

CONFIG = {"model_cfg": {"embed_dim": 8}, "preprocess_cfg": {"size": 8}}
LINEAR = torch.nn.Linear(2, 2)
WITH_BATCH_NORM = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.BatchNorm2d(4))


@pytest.mark.parametrize(
    ("model", "pretrained", "message"),
    [
        ("ViT-B-99", "openai", "has no model 'ViT-B-99'.*ViT-B-32"),
        ("ViT-B-32", "nonsense", "no weights 'nonsense' for ViT-B-32.*openai"),
        ("ViT-B-32", None, "no weights None for ViT-B-32.*openai"),
        ("local-dir:no/such/folder", None, "no/such/folder.*dvc repro clip"),
    ],
)
def test_an_unknown_open_clip_model_is_an_error(model: str, pretrained: str | None, message: str) -> None:
    params = OpenClipParams(backend="open_clip", model=model, pretrained=pretrained)
    with pytest.raises(EncoderError, match=message):
        load_image_encoder(params, "auto")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not valid JSON"),
        (json.dumps({"preprocess_cfg": {"size": 8}}), "has no key model_cfg"),
        (json.dumps({"model_cfg": {"embed_dim": 8}}), "has no key preprocess_cfg. Add the key"),
        (json.dumps(CONFIG), "cannot be loaded"),
    ],
)
def test_an_invalid_open_clip_folder_is_an_error(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "open_clip_config.json").write_text(content)
    params = OpenClipParams(backend="open_clip", model=f"local-dir:{tmp_path}", pretrained=None)
    with pytest.raises(EncoderError, match=message):
        load_image_encoder(params, "auto")


def test_an_unknown_timm_model_is_an_error() -> None:
    with pytest.raises(EncoderError, match=r"resnet999.*spelling"):
        load_image_encoder(TimmParams(backend="timm", model="resnet999"), "auto")


def test_an_invalid_timm_folder_is_an_error(tmp_path: Path) -> None:
    params = TimmParams(backend="timm", model=f"local-dir:{tmp_path}")
    with pytest.raises(EncoderError, match=r"config.json does not exist"):
        load_image_encoder(params, "auto")
    (tmp_path / "config.json").write_text(
        json.dumps({"architecture": "resnet18", "pretrained_cfg": {"mean": [0, 0, 0]}})
    )
    with pytest.raises(EncoderError, match=r"does not contain input_size, std\. Add"):
        load_image_encoder(params, "auto")


def test_a_checkpoint_is_matched_by_names_or_by_order(tmp_path: Path) -> None:
    model = timm.create_model("resnet18")
    weights = model.state_dict()
    images = [Image.effect_noise((64, 64), 90).convert("RGB")]

    def load(weights: dict[str, torch.Tensor]) -> ImageEncoder:
        torch.save(weights, tmp_path / "weights.pth")
        params = TimmParams(backend="timm", model="resnet18", checkpoint=str(tmp_path / "weights.pth"))
        return load_image_encoder(params, "fp32")

    by_name = load(dict(sorted(weights.items())))
    by_order = load({f"net.{n}.{name.rpartition('.')[2]}": tensor for n, (name, tensor) in enumerate(weights.items())})
    assert by_order.identity.key == by_name.identity.key
    np.testing.assert_array_equal(by_order.transform(images), by_name.transform(images))
    with pytest.raises(EncoderError, match=r"resnet18 cannot be loaded: .*Missing key.*conv1.weight"):
        load({f"net.{name}": weights[name] for name in sorted(weights)})  # the roles at most positions differ
    with pytest.raises(EncoderError, match=r"resnet18 cannot be loaded: .*Missing key.*fc.bias"):
        load(dict(list(weights.items())[:-1]))


@pytest.mark.parametrize(
    ("checkpoint", "message"),
    [
        ("no/such.pth", r"no/such.pth is not a file. Set `checkpoint` to a file with the weights of resnet18"),
        ("package:kadr/no_such.pth", "the package kadr does not contain 'no_such.pth'"),
        ("package:kadr/encoders", "encoders is not a file"),
        ("params.yaml", "resnet18 cannot be loaded"),
    ],
)
def test_an_invalid_checkpoint_is_an_error(
    checkpoint: str, message: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    with pytest.raises(EncoderError, match=message):
        load_image_encoder(TimmParams(backend="timm", model="resnet18", checkpoint=checkpoint), "fp32")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("package:no_such_package/model", "the package no_such_package is not installed"),
        ("package:kadr/no_such_folder", "does not contain 'no_such_folder'"),
    ],
)
def test_a_missing_weight_package_is_an_error(model: str, message: str) -> None:
    params = SentenceTransformersParams(backend="sentence_transformers", model=model)
    with pytest.raises(EncoderError, match=message):
        fit_text_encoder(params, "auto", [], 0)


def test_a_missing_library_is_named_with_the_extra_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    params = SentenceTransformersParams(backend="sentence_transformers", model="some/model")
    with pytest.raises(EncoderError, match=r"needs the package sentence_transformers.*kadr\[relevance\]"):
        fit_text_encoder(params, "auto", [], 0)


@pytest.mark.parametrize(
    ("capabilities", "model", "precision"),
    [
        ({}, LINEAR, "fp32"),
        ({"avx512_bf16": True}, LINEAR, "bf16"),
        ({"amx_bf16": True}, LINEAR, "bf16"),
        ({"avx512_bf16": True}, WITH_BATCH_NORM, "fp32"),
    ],
)
def test_auto_precision_on_a_cpu(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, bool], model: torch.nn.Module, precision: str
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert resolve_precision("auto", "cpu", model) == precision
    assert resolve_precision("bf16", "cpu", model) == "bf16"
    with pytest.raises(EncoderError, match="fp16 needs a GPU"):
        resolve_precision("fp16", "cpu", model)


def test_the_hash_of_weights_depends_on_names_types_shapes_and_values() -> None:
    def module(**tensors: torch.Tensor) -> torch.nn.Module:
        model = torch.nn.Module()
        for name, tensor in tensors.items():
            model.register_buffer(name, tensor)
        return model

    ones = torch.ones(2, 3)
    modules = [
        module(a=ones),
        module(b=ones),
        module(a=ones.half()),
        module(a=torch.ones(3, 2)),
        module(a=ones * 2),
        module(a=ones[0]),
    ]
    assert len({weights_sha256(model) for model in modules}) == len(modules)
    bias = LINEAR.bias.data
    assert weights_sha256(module(a=ones, b=bias)) == weights_sha256(module(b=bias, a=ones.clone()))
