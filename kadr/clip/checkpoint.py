"""The clip part's folder: open_clip's local-dir layout, written so that it loads with its own preprocessing."""

import json
import shutil
from pathlib import Path
from typing import Any

from kadr.encoders.open_clip_models import CONFIG_NAME, LOCAL, WEIGHTS_NAME, load_clip, read_config
from kadr.errors import EncoderError

_WEIGHTS = ("*.safetensors", "*.bin", "*.pth", "*.pt")


def has_weights(folder: Path) -> bool:
    """Whether `folder` holds a weight file that open_clip would load."""
    return any(any(folder.glob(pattern)) for pattern in _WEIGHTS)


def copy_clip(source: Path, folder: Path) -> None:
    """Copy the files of the CLIP in `source` to `folder`, without their permissions, and see that it loads.

    Raises:
        EncoderError: where `source` lacks its config or weights, or the weights do not fit.
    """
    read_config(source)
    if not has_weights(source):
        raise EncoderError(
            f"{source} has a config and no weights ({', '.join(_WEIGHTS)}); add them, or train with clip.source: train"
        )
    for path in filter(Path.is_file, source.rglob("*")):
        target = folder / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    load_clip(f"{LOCAL}{folder}", None)


def save_clip(model: Any, model_config: dict[str, Any], tokenizer: Any, folder: Path) -> None:
    """Write a CLIP with its preprocessing, and with its tokenizer where open_clip lacks that, and see that it loads.

    Raises:
        EncoderError: where what was written does not load.
    """
    from safetensors.torch import save

    folder.mkdir(parents=True, exist_ok=True)
    preprocessing = dict(model.visual.preprocess_cfg)
    config = {"model_cfg": model_config, "preprocess_cfg": preprocessing}
    (folder / CONFIG_NAME).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in model.state_dict().items()}
    (folder / WEIGHTS_NAME).write_bytes(save(tensors))  # save_file would let only this user read it
    if hasattr(tokenizer, "save_pretrained"):
        tokenizer.save_pretrained(folder)
    load_clip(f"{LOCAL}{folder}", None)
