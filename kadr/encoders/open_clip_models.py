"""The library room's door to open_clip: a CLIP loaded by name, or an error that says what to do instead."""

import difflib
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kadr.errors import EncoderError

LOCAL, HUB = "local-dir:", "hf-hub:"
_LOADING_FAILURES = (OSError, RuntimeError, ValueError, LookupError, TypeError, ImportError, AssertionError)
CONFIG_NAME, WEIGHTS_NAME = "open_clip_config.json", "open_clip_model.safetensors"


def load_clip(
    model: str, pretrained: str | None, precision: str = "fp32", device: str = "cpu", *, weights: bool = True
) -> Any:
    """A CLIP (open_clip's torch module) in evaluation mode, on `device`, in `precision`.

    Args:
        model: `local-dir:FOLDER`, `hf-hub:NAME`, or an architecture that open_clip knows.
        pretrained: open_clip's tag for an architecture; null for the other two.
        precision: fp32, bf16 or fp16.
        device: cpu or cuda.
        weights: False leaves the weights random.

    Raises:
        EncoderError: where the model or its weights cannot be found, or do not fit.
    """
    import open_clip

    check_clip(model, pretrained)
    with loading(model), quiet(logging.INFO if weights else logging.WARNING):
        made = open_clip.create_model(
            model, pretrained, precision=precision, device=device, load_weights=weights, require_pretrained=weights
        )
    return made.eval()


def check_clip(model: str, pretrained: str | None) -> None:
    """Raise EncoderError where `model` and `pretrained` name nothing that open_clip could load."""
    if model.startswith(LOCAL):
        read_config(Path(model.removeprefix(LOCAL)))
    elif not model.startswith(HUB):
        _check_tag(model, pretrained)


def read_config(folder: Path) -> dict[str, Any]:
    """The open_clip_config.json of `folder`: model_cfg and preprocess_cfg. Raises EncoderError."""
    path = folder / CONFIG_NAME
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise EncoderError(
            f"{path}: no such file. Run `dvc repro clip` first, or name a folder in open_clip's local-dir layout"
        ) from error
    except (OSError, ValueError) as error:
        raise EncoderError(f"{path} is not readable JSON ({error}); restore it, or run `dvc repro clip`") from error
    for key in ("model_cfg", "preprocess_cfg"):
        if not (isinstance(config, dict) and config.get(key)):
            raise EncoderError(
                f"{path} has no {key}; add it: without it the photos would be prepared as another model wants them"
            )
    return dict(config)


def _check_tag(model: str, pretrained: str | None) -> None:
    import open_clip

    known = open_clip.list_models()
    if model.replace("/", "-") not in known:
        near = difflib.get_close_matches(model, known) or known[:3]
        raise EncoderError(
            f"open_clip knows no model {model!r}; near ones: {', '.join(near)}. Or give hf-hub:NAME or local-dir:FOLDER"
        )
    tags = open_clip.list_pretrained_tags_by_model(model)
    if pretrained not in tags:
        raise EncoderError(
            f"open_clip has no weights {pretrained!r} for {model}; it has {', '.join(tags) or 'none'}. "
            "For weights of your own give local-dir:FOLDER, so that their preprocessing comes with them"
        )


@contextmanager
def loading(model: str) -> Iterator[None]:
    """Turn what a library raises when it cannot load `model` into an EncoderError."""
    from safetensors import SafetensorError

    try:
        yield
    except (*_LOADING_FAILURES, SafetensorError) as error:
        reason = (" ".join(str(error).split()) or type(error).__name__)[:300]
        raise EncoderError(
            f"{model} cannot be loaded: {reason}. A name wants the right spelling and, once, its hub within reach "
            "(without a network give local-dir:FOLDER); a folder wants weights that fit its config"
        ) from error


@contextmanager
def quiet(level: int = logging.INFO) -> Iterator[None]:
    """Keep what open_clip logs at every load, up to `level`, out of the stage's log."""
    before = logging.root.manager.disable
    logging.disable(level)
    try:
        yield
    finally:
        logging.disable(before)
