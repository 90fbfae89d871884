"""Copy and save open_clip checkpoints: folders with the weights, configuration and preprocessing of a model."""

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
    """Copy a checkpoint without its file permissions, and check that the copy can be loaded.

    Args:
        source: folder that contains the checkpoint.
        folder: folder to write the copy to.

    Raises:
        EncoderError: `source` has no configuration or no weights, or the weights do not fit the configuration.
    """
    read_config(source)
    if not has_weights(source):
        raise EncoderError(
            f"{source} contains a configuration but no weights ({', '.join(_WEIGHT_PATTERNS)}). Add the weights, "
            "or set clip.source: train."
        )
    for path in filter(Path.is_file, source.rglob("*")):
        target = folder / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    load_clip(f"{LOCAL_DIR}{folder}", None)


def save_checkpoint(model: Any, model_config: dict[str, Any], tokenizer: Any, folder: Path) -> None:
    """Save a CLIP model and its preprocessing as a checkpoint, and check that the checkpoint can be loaded.

    Args:
        model: CLIP model of open_clip.
        model_config: open_clip configuration of the architecture.
        tokenizer: tokenizer of the model. Tokenizers that are part of open_clip are not saved.
        folder: folder to write the checkpoint to.

    Raises:
        EncoderError: the saved checkpoint cannot be loaded.
    """
    from safetensors.torch import save

    folder.mkdir(parents=True, exist_ok=True)
    config = {"model_cfg": model_config, "preprocess_cfg": dict(model.visual.preprocess_cfg)}
    (folder / CONFIG_NAME).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in model.state_dict().items()}
    (folder / WEIGHTS_NAME).write_bytes(save(tensors))  # `save_file` would make the file unreadable for others
    if hasattr(tokenizer, "save_pretrained"):
        tokenizer.save_pretrained(folder)
    load_clip(f"{LOCAL_DIR}{folder}", None)
