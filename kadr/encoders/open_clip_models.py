"""Load CLIP models with open_clip, with error messages that name the fix."""

import difflib
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kadr.encoders.weights import HF_HUB, local_folder
from kadr.errors import EncoderError

_LOAD_FAILURES = (OSError, RuntimeError, ValueError, LookupError, TypeError, ImportError, AssertionError)
CONFIG_NAME, WEIGHTS_NAME = "open_clip_config.json", "open_clip_model.safetensors"


def load_clip(
    model: str, pretrained: str | None, precision: str = "fp32", device: str = "cpu", *, weights: bool = True
) -> Any:
    """Load a CLIP as a torch module in evaluation mode.

    Args:
        model: `local-dir:FOLDER`, `hf-hub:NAME`, or an architecture of open_clip.
        pretrained: open_clip's tag of the weights of an architecture. None for a folder or a hub model.
        precision: fp32, bf16 or fp16.
        device: cpu or cuda.
        weights: if False, the weights are random.

    Raises:
        EncoderError: the model or its weights cannot be found, or do not fit together.
    """
    import open_clip

    check_clip(model, pretrained)
    with explain_load_errors(model), silence_logging(logging.INFO if weights else logging.WARNING):
        clip = open_clip.create_model(
            model, pretrained, precision=precision, device=device, load_weights=weights, require_pretrained=weights
        )
    return clip.eval()


def check_clip(model: str, pretrained: str | None) -> None:
    """Check that a model exists, without loading it.

    Raises:
        EncoderError: open_clip cannot load `model` with `pretrained`.
    """
    if (folder := local_folder(model)) is not None:
        read_config(Path(folder))
    elif not model.startswith(HF_HUB):
        _check_tag(model, pretrained)


def read_config(folder: Path) -> dict[str, Any]:
    """Read open_clip_config.json of a checkpoint folder.

    Returns:
        The keys `model_cfg` and `preprocess_cfg`.

    Raises:
        EncoderError: the file is missing, damaged or incomplete.
    """
    path = folder / CONFIG_NAME
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise EncoderError(
            f"{path} does not exist. Run `dvc repro clip` first, or name a folder in open_clip's local-dir layout."
        ) from error
    except (OSError, ValueError) as error:
        raise EncoderError(f"{path} is not valid JSON ({error}). Restore it, or run `dvc repro clip`.") from error
    for key in ("model_cfg", "preprocess_cfg"):
        if not (isinstance(config, dict) and config.get(key)):
            raise EncoderError(f"{path} has no {key}. Add it, because open_clip's default may not fit the weights.")
    return dict(config)


def _check_tag(model: str, pretrained: str | None) -> None:
    import open_clip

    known = open_clip.list_models()
    if model.replace("/", "-") not in known:
        similar = difflib.get_close_matches(model, known) or known[:3]
        raise EncoderError(
            f"open_clip has no model {model!r}. Similar names: {', '.join(similar)}. "
            "You can also give hf-hub:NAME or local-dir:FOLDER."
        )
    tags = open_clip.list_pretrained_tags_by_model(model)
    if pretrained not in tags:
        raise EncoderError(
            f"open_clip has no weights {pretrained!r} for {model}, expected one of: {', '.join(tags) or 'none'}. "
            "For your own weights give local-dir:FOLDER, so that their preprocessing is loaded with them."
        )


@contextmanager
def explain_load_errors(model: str) -> Iterator[None]:
    """Convert the errors that libraries raise for a model that cannot be loaded.

    Args:
        model: name of the model in the settings.

    Raises:
        EncoderError: the model cannot be loaded.
    """
    from safetensors import SafetensorError

    try:
        yield
    except (*_LOAD_FAILURES, SafetensorError) as error:
        reason = (" ".join(str(error).split()) or type(error).__name__)[:300]
        raise EncoderError(
            f"{model} cannot be loaded: {reason}. For a name, check the spelling and the connection to the hub "
            "(without a network give local-dir:FOLDER). For a folder, check that the weights fit the config."
        ) from error


@contextmanager
def silence_logging(level: int = logging.INFO) -> Iterator[None]:
    """Suppress log records up to `level`. open_clip logs several lines at each load."""
    previous = logging.root.manager.disable
    logging.disable(level)
    try:
        yield
    finally:
        logging.disable(previous)
