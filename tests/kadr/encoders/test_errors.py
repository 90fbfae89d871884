"""What cannot be loaded says so, and what to do; the precision that auto takes."""

import json
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image

from kadr.encoders import ImageEncoder, fit_text_encoder, load_image_encoder
from kadr.encoders.torch_models import resolve_precision, weights_sha256
from kadr.errors import EncoderError
from kadr.params import OpenClipParams, SentenceTransformersParams, TimmParams

CONFIG = {"model_cfg": {"embed_dim": 8}, "preprocess_cfg": {"size": 8}}
PLAIN = torch.nn.Linear(2, 2)
WITH_BATCH_NORM = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.BatchNorm2d(4))


@pytest.mark.parametrize(
    ("model", "pretrained", "message"),
    [
        ("ViT-B-99", "openai", "knows no model 'ViT-B-99'.*ViT-B-32"),
        ("ViT-B-32", "nonsense", "no weights 'nonsense' for ViT-B-32.*openai"),
        ("ViT-B-32", None, "no weights None for ViT-B-32.*openai"),
        ("local-dir:no/such/folder", None, "no/such/folder.*dvc repro clip"),
    ],
)
def test_open_clip(model: str, pretrained: str | None, message: str) -> None:
    spec = OpenClipParams(backend="open_clip", model=model, pretrained=pretrained)
    with pytest.raises(EncoderError, match=message):
        load_image_encoder(spec, "auto")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not readable JSON"),
        (json.dumps({"preprocess_cfg": {"size": 8}}), "no model_cfg"),
        (json.dumps({"model_cfg": {"embed_dim": 8}}), "no preprocess_cfg; add it"),
        (json.dumps(CONFIG), "cannot be loaded"),
    ],
)
def test_a_folder_that_is_no_clip(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "open_clip_config.json").write_text(content)
    spec = OpenClipParams(backend="open_clip", model=f"local-dir:{tmp_path}", pretrained=None)
    with pytest.raises(EncoderError, match=message):
        load_image_encoder(spec, "auto")


def test_timm(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match=r"resnet999.*spelling"):
        load_image_encoder(TimmParams(backend="timm", model="resnet999"), "auto")
    spec = TimmParams(backend="timm", model=f"local-dir:{tmp_path}")
    with pytest.raises(EncoderError, match=r"config.json: no such file"):
        load_image_encoder(spec, "auto")
    (tmp_path / "config.json").write_text(
        json.dumps({"architecture": "resnet18", "pretrained_cfg": {"mean": [0, 0, 0]}})
    )
    with pytest.raises(EncoderError, match="no input_size, std; add it"):
        load_image_encoder(spec, "auto")


def test_a_checkpoint_is_loaded_by_its_names_or_by_its_order(tmp_path: Path) -> None:
    model = timm.create_model("resnet18")
    own = model.state_dict()
    photo = [Image.effect_noise((64, 64), 90).convert("RGB")]

    def load(weights: dict[str, torch.Tensor]) -> ImageEncoder:
        torch.save(weights, tmp_path / "weights.pth")
        spec = TimmParams(backend="timm", model="resnet18", checkpoint=str(tmp_path / "weights.pth"))
        return load_image_encoder(spec, "fp32")

    by_name = load(dict(sorted(own.items())))
    by_order = load({f"net.{n}.{name.rpartition('.')[2]}": tensor for n, (name, tensor) in enumerate(own.items())})
    assert by_order.identity.key == by_name.identity.key
    np.testing.assert_array_equal(by_order.transform(photo), by_name.transform(photo))
    with pytest.raises(EncoderError, match=r"resnet18 cannot be loaded: .*Missing key.*conv1.weight"):
        load({f"net.{name}": own[name] for name in sorted(own)})  # means stand before weights: of other roles
    with pytest.raises(EncoderError, match=r"resnet18 cannot be loaded: .*Missing key.*fc.bias"):
        load(dict(list(own.items())[:-1]))


@pytest.mark.parametrize(
    ("checkpoint", "message"),
    [
        ("no/such.pth", "no/such.pth: no such file; `checkpoint` is a file with the weights of resnet18"),
        ("package:kadr/no_such.pth", "the package kadr has no 'no_such.pth'"),
        ("package:kadr/encoders", "encoders: no such file"),
        ("params.yaml", "resnet18 cannot be loaded"),
    ],
)
def test_a_checkpoint_that_is_none(checkpoint: str, message: str) -> None:
    with pytest.raises(EncoderError, match=message):
        load_image_encoder(TimmParams(backend="timm", model="resnet18", checkpoint=checkpoint), "fp32")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("package:no_such_package/model", "no package no_such_package is installed"),
        ("package:kadr/no_such_folder", "has no 'no_such_folder'"),
    ],
)
def test_sentence_transformers(model: str, message: str) -> None:
    with pytest.raises(EncoderError, match=message):
        fit_text_encoder(SentenceTransformersParams(backend="sentence_transformers", model=model), "auto", [], 0)


@pytest.mark.parametrize(
    ("abilities", "model", "precision"),
    [
        ({}, PLAIN, "fp32"),
        ({"avx512_bf16": True}, PLAIN, "bf16"),
        ({"amx_bf16": True}, PLAIN, "bf16"),
        ({"avx512_bf16": True}, WITH_BATCH_NORM, "fp32"),
    ],
)
def test_auto_precision_on_a_cpu(
    monkeypatch: pytest.MonkeyPatch, abilities: dict[str, bool], model: torch.nn.Module, precision: str
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: abilities)
    assert resolve_precision("auto", "cpu", model) == precision
    assert resolve_precision("auto", "cuda", model) == "fp16"
    assert resolve_precision("bf16", "cpu", model) == "bf16"
    with pytest.raises(EncoderError, match="GPU"):
        resolve_precision("fp16", "cpu", model)


def test_the_hash_of_weights_sees_names_types_shapes_and_numbers() -> None:
    def made(**tensors: torch.Tensor) -> torch.nn.Module:
        model = torch.nn.Module()
        for name, tensor in tensors.items():
            model.register_buffer(name, tensor)
        return model

    ones = torch.ones(2, 3)
    kinds = [
        made(a=ones),
        made(b=ones),
        made(a=ones.half()),
        made(a=torch.ones(3, 2)),
        made(a=ones * 2),
        made(a=ones[0]),
    ]
    assert len({weights_sha256(model) for model in kinds}) == len(kinds)
    assert weights_sha256(made(a=ones, b=PLAIN.bias.data)) == weights_sha256(made(b=PLAIN.bias.data, a=ones.clone()))
