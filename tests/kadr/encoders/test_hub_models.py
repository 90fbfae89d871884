"""Tests of models on a hub: what is announced, and what is explained if the hub cannot be reached."""

import logging
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
from huggingface_hub.constants import ENDPOINT
from huggingface_hub.errors import EntryNotFoundError

from kadr.encoders.hub_models import HubModel, announce_download, find_hub_model, models_folder
from kadr.encoders.open_clip_models import fetch_clip, load_clip
from kadr.errors import EncoderError

REPOSITORY = "laion/CLIP-ViT-B-32-laion2B-s34B-b79K"
SMALL = ("ViT-B-32", "laion2b_s34b_b79k")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KADR_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulate a machine without internet access."""

    def refuse(url: str, **_: object) -> None:
        raise ConnectionError("[Errno -2] Name or service not known")

    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", refuse)


def put_into_cache(folder: Path, repository: str, name: str) -> None:
    """Write a file to the cache of the hub as huggingface_hub does."""
    home = folder / f"models--{repository.replace('/', '--')}"
    (home / "refs").mkdir(parents=True)
    (home / "refs" / "main").write_text("abc")
    (home / "snapshots" / "abc").mkdir(parents=True)
    (home / "snapshots" / "abc" / name).write_bytes(b"weights")


@pytest.mark.parametrize(
    ("model", "pretrained", "expected"),
    [
        (*SMALL, HubModel(REPOSITORY)),
        ("hf-hub:timm/ViT-B-16-SigLIP", None, HubModel("timm/ViT-B-16-SigLIP")),
        ("local-dir:/x", None, None),
        (
            "ViTamin-S",
            "datacomp1b",
            HubModel("jienengchen/ViTamin-S", ("pytorch_model.safetensors", "pytorch_model.bin")),
        ),
    ],
)
def test_the_repository_of_a_model_is_known(model: str, pretrained: str | None, expected: HubModel | None) -> None:
    assert find_hub_model(model, pretrained) == expected


@pytest.mark.parametrize("function", [announce_download, fetch_clip, load_clip])
def test_without_internet_access_the_message_says_what_to_do(
    function: object, home: Path, offline: None, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(EncoderError) as raised:
        function(*SMALL)  # type: ignore[operator]
    message = str(raised.value)
    assert message.startswith(f"{REPOSITORY} is not on this machine, and {ENDPOINT} cannot be reached (")
    assert f"hf download {REPOSITORY} " in message
    assert "kadr index --model FOLDER" in message
    assert str(home / "cache" / "models") in message
    assert "Downloading" not in caplog.text


def test_a_download_is_announced(home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    asked = []

    def describe(url: str, **_: object) -> SimpleNamespace:
        asked.append(url)
        if url.endswith(".safetensors"):
            raise EntryNotFoundError("no such file")
        return SimpleNamespace(size=605_157_884)

    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", describe)
    with caplog.at_level(logging.INFO, "kadr"):
        announce_download(*SMALL)
    assert [url.rpartition("/")[2] for url in asked] == ["open_clip_model.safetensors", "open_clip_pytorch_model.bin"]
    assert caplog.messages == [
        f"Downloading the CLIP model ViT-B-32/laion2b_s34b_b79k (605 MB) from {ENDPOINT}/{REPOSITORY} to "
        f"{home / 'cache' / 'models'}. This happens only once."
    ]


def test_a_model_on_this_machine_is_not_announced(home: Path, offline: None, caplog: pytest.LogCaptureFixture) -> None:
    put_into_cache(models_folder(), REPOSITORY, "open_clip_model.safetensors")
    with caplog.at_level(logging.INFO, "kadr"):
        fetch_clip(*SMALL)
    assert caplog.messages == []


def test_a_repository_without_weights_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def describe(url: str, **_: object) -> None:
        raise EntryNotFoundError("no such file")

    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", describe)
    with pytest.raises(
        EncoderError, match=r"timm/x contains none of open_clip_model\.safetensors, .*Use another model"
    ):
        announce_download("hf-hub:timm/x", None)
