"""Load CLIP models with open_clip, and explain errors that occur while a model is loaded."""

import difflib
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from kadr.encoders.hub_models import announce_download, find_hub_model
from kadr.encoders.torch_models import skip_random_weights
from kadr.encoders.weights import HF_HUB, local_folder
from kadr.errors import EncoderError
from kadr.user_folders import user_folders

_LOAD_FAILURES = (OSError, RuntimeError, ValueError, LookupError, TypeError, ImportError, AssertionError)
CONFIG_NAME, WEIGHTS_NAME = "open_clip_config.json", "open_clip_model.safetensors"


def load_clip(
    model: str, pretrained: str | None, precision: str = "fp32", device: str = "cpu", *, weights: bool = True
) -> Any:
    """Load a CLIP model as a torch module in evaluation mode.

    Args:
        model: `local-dir:FOLDER`, `hf-hub:NAME`, or the name of an open_clip architecture.
        pretrained: open_clip tag of the pretrained weights of an architecture. Use None for a folder or a hub model.
        precision: number format of the weights: fp32, bf16 or fp16.
        device: torch device: cpu or cuda.
        weights: whether to load the weights. If False, the weights are initialised randomly.

    Raises:
        EncoderError: the model or its weights cannot be found or downloaded, or the weights do not fit the model.
    """
    import open_clip

    check_clip(model, pretrained)
    if weights:
        announce_download(model, pretrained)
    level = logging.INFO if weights else logging.WARNING
    initialisation = skip_random_weights() if weights else nullcontext()
    with explain_load_errors(model), silence_logging(level), initialisation:
        clip = open_clip.create_model(
            model,
            pretrained,
            precision=precision,
            device=device,
            load_weights=weights,
            require_pretrained=weights,
            cache_dir=user_folders().models,
        )
    return clip.eval()


def fetch_clip(model: str, pretrained: str | None) -> None:
    """Download the weights of a CLIP model, unless they are on this machine.

    Args:
        model: `local-dir:FOLDER`, `hf-hub:NAME`, or the name of an open_clip architecture.
        pretrained: open_clip tag of the pretrained weights of an architecture. Use None for a folder or a hub model.

    Raises:
        EncoderError: the model or its weights cannot be found or downloaded.
    """
    from open_clip.pretrained import download_pretrained_from_hf

    check_clip(model, pretrained)
    announce_download(model, pretrained)
    hub_model = find_hub_model(model, pretrained)
    if hub_model is not None and not hub_model.is_downloaded():
        with explain_load_errors(model):
            download_pretrained_from_hf(hub_model.repository, hub_model.files[-1], cache_dir=user_folders().models)


def check_clip(model: str, pretrained: str | None) -> None:
    """Check that open_clip knows the name and the tag of a model. The names of hub models are not checked.

    Raises:
        EncoderError: the folder contains no valid configuration, or open_clip does not know the name or the tag.
    """
    if (folder := local_folder(model)) is not None:
        read_config(Path(folder))
    elif not model.startswith(HF_HUB):
        _check_tag(model, pretrained)


def read_config(folder: Path) -> dict[str, Any]:
    """Read `open_clip_config.json` from a checkpoint folder.

    Returns:
        The content of the file, with the keys `model_cfg` and `preprocess_cfg`.

    Raises:
        EncoderError: the file is missing, damaged or incomplete.
    """
    path = folder / CONFIG_NAME
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise EncoderError(
            f"{path} does not exist. Run `dvc repro clip` to create it, or use a folder with an open_clip checkpoint."
        ) from error
    except (OSError, ValueError) as error:
        raise EncoderError(f"{path} is not valid JSON ({error}). Restore the file, or run `dvc repro clip`.") from error
    for key in ("model_cfg", "preprocess_cfg"):
        if not (isinstance(config, dict) and config.get(key)):
            raise EncoderError(
                f"{path} has no key {key}. Add the key, because the defaults of open_clip may not match the weights."
            )
    return dict(config)


def _check_tag(model: str, pretrained: str | None) -> None:
    import open_clip

    known = open_clip.list_models()
    if model.replace("/", "-") not in known:
        similar = difflib.get_close_matches(model, known) or known[:3]
        raise EncoderError(
            f"open_clip has no model {model!r}. Similar names: {', '.join(similar)}. "
            "Correct the name, or use hf-hub:NAME or local-dir:FOLDER."
        )
    tags = open_clip.list_pretrained_tags_by_model(model)
    if pretrained not in tags:
        raise EncoderError(
            f"open_clip has no weights {pretrained!r} for {model}. Available weights: {', '.join(tags) or 'none'}. "
            "To load your own weights together with their preprocessing, use local-dir:FOLDER."
        )


@contextmanager
def explain_load_errors(model: str) -> Iterator[None]:
    """Convert the exceptions of model libraries to an EncoderError that explains how to fix the problem.

    Args:
        model: model name from the settings, shown in the error message.

    Raises:
        EncoderError: the model cannot be loaded.
    """
    from safetensors import SafetensorError

    try:
        yield
    except (*_LOAD_FAILURES, SafetensorError) as error:
        reason = (" ".join(str(error).split()) or type(error).__name__)[:300]
        raise EncoderError(
            f"{model} cannot be loaded: {reason}. If the model is on a hub, check the spelling of its name and the "
            "connection to the hub, or use local-dir:FOLDER. If the model is in a folder, check that the weights fit "
            "the configuration."
        ) from error


@contextmanager
def silence_logging(level: int = logging.INFO) -> Iterator[None]:
    """Suppress log records up to `level`, because open_clip logs several lines whenever it loads a model."""
    previous = logging.root.manager.disable
    logging.disable(level)
    try:
        yield
    finally:
        logging.disable(previous)
