"""Checkpoint folders in open_clip's local-dir layout, which include the preprocessing of the model."""

import json
import shutil
from pathlib import Path
from typing import Any

from kadr.encoders.open_clip_models import CONFIG_NAME, WEIGHTS_NAME, load_clip, read_config
from kadr.encoders.weights import LOCAL_DIR
from kadr.errors import EncoderError

_WEIGHT_PATTERNS = ("*.safetensors", "*.bin", "*.pth", "*.pt")


def has_weights(folder: Path) -> bool:
    """Return whether a folder contains weights that open_clip can load."""
    return any(any(folder.glob(pattern)) for pattern in _WEIGHT_PATTERNS)


def copy_checkpoint(source: Path, folder: Path) -> None:
    """Copy a checkpoint without its file permissions, and check that it loads.

    Args:
        source: folder of the checkpoint.
        folder: folder to write.

    Raises:
        EncoderError: `source` has no config or no weights, or the weights do not fit the config.
    """
    read_config(source)
    if not has_weights(source):
        raise EncoderError(
            f"{source} has a config but no weights ({', '.join(_WEIGHT_PATTERNS)}). Add the weights, "
            "or set clip.source: train."
        )
    for path in filter(Path.is_file, source.rglob("*")):
        target = folder / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    load_clip(f"{LOCAL_DIR}{folder}", None)


def save_checkpoint(model: Any, model_config: dict[str, Any], tokenizer: Any, folder: Path) -> None:
    """Write a CLIP with its preprocessing, and check that it loads.

    Args:
        model: CLIP of open_clip.
        model_config: configuration of the architecture.
        tokenizer: tokenizer of the model. It is saved unless open_clip contains it.
        folder: folder to write.

    Raises:
        EncoderError: the written checkpoint does not load.
    """
    from safetensors.torch import save

    folder.mkdir(parents=True, exist_ok=True)
    config = {"model_cfg": model_config, "preprocess_cfg": dict(model.visual.preprocess_cfg)}
    (folder / CONFIG_NAME).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in model.state_dict().items()}
    (folder / WEIGHTS_NAME).write_bytes(save(tensors))  # `save_file` makes the file readable only by this user
    if hasattr(tokenizer, "save_pretrained"):
        tokenizer.save_pretrained(folder)
    load_clip(f"{LOCAL_DIR}{folder}", None)
