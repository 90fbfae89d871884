"""The timm backend, which embeds images with a timm model without its classifier."""

import json
import math
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field

from kadr.encoders.base import Identity
from kadr.encoders.layer_features import append_layer_features
from kadr.encoders.open_clip_models import explain_load_errors
from kadr.encoders.preprocessing import Preprocessing
from kadr.encoders.torch_images import DECODING_SETTINGS, TorchImageEncoder
from kadr.encoders.torch_models import resolve_precision, torch_device, weights_sha256
from kadr.encoders.weights import local_folder, package_distributions, package_module, resolve_package_path
from kadr.errors import EncoderError
from kadr.params import EncoderParams, Precision


class TimmParams(EncoderParams):
    """Settings of a timm model."""

    backend: Literal["timm"]
    model: str = Field(description="Model to load: the name of a timm model, `hf-hub:NAME`, or `local-dir:FOLDER`.")
    layers: tuple[str, ...] = Field(
        (), description="CNN blocks, such as blocks.5 or layer3, whose pooled feature maps are appended to the vector."
    )
    checkpoint: str | None = Field(
        None, description="Weights file: a path or `package:MODULE/FILE`. null loads the default weights of the model."
    )
    image_size: int | None = Field(
        None,
        ge=1,
        description="Width and height of the input image in pixels. null uses the default size of the model.",
    )
    whole_photo: bool = Field(
        default=False, description="Squash the whole image into a square instead of cropping it like the model does."
    )

    @property
    def weight_paths(self) -> dict[str, str]:
        """Dict of local paths: `model` is the folder of a `local-dir:` model, and `checkpoint` is a weights file."""
        paths = {}
        if (folder := local_folder(self.model)) is not None:
            paths["model"] = folder
        if self.checkpoint and package_module(self.checkpoint) is None:
            paths["checkpoint"] = self.checkpoint
        return paths

    @property
    def weight_packages(self) -> dict[str, str]:
        """Dict with the key `checkpoint` and a path `package:MODULE/FILE`. The dict is empty for other checkpoints."""
        return {"checkpoint": self.checkpoint} if self.checkpoint and package_module(self.checkpoint) else {}

    @property
    def distributions(self) -> list[str]:
        """Names of the Python distributions that the encoder needs."""
        return ["safetensors", "timm", "torch", "torchvision", *package_distributions(self.weight_packages.values())]


class TimmImageEncoder(TorchImageEncoder):
    """Image encoder that runs a timm model without its classifier, with the preprocessing of the model."""

    params_model = TimmParams

    @classmethod
    def load(cls, params: TimmParams, precision: Precision) -> Self:
        """Load a timm model as an image encoder.

        Raises:
            EncoderError: the model cannot be found or loaded, or does not support the settings.
        """
        from timm.data.config import resolve_data_config
        from timm.data.transforms_factory import create_transform

        if (folder := local_folder(params.model)) is not None:
            _check_folder(Path(folder))
        with explain_load_errors(params.model):
            model: Any = _load(params).eval()
            _set_input_size(model, params)
        config = resolve_data_config(_preprocessing_options(params), model=model)  # type: ignore[no-untyped-call]
        *resizing, _to_tensor, _normalise = create_transform(**config, is_training=False).transforms
        identity = Identity(
            encoder=" ".join(filter(None, ("timm", params.model, params.checkpoint))),
            architecture=" ".join(["timm", model.pretrained_cfg["architecture"], *params.layers]),
            weights_sha256=weights_sha256(model),
            preprocessing=json.dumps({**config, **DECODING_SETTINGS}, sort_keys=True),
            precision=resolve_precision(precision, torch_device(), model),
        )
        shorter_side = math.floor(max(config["input_size"][1:]) / config["crop_pct"])
        preprocessing = Preprocessing(resizing, config["mean"], config["std"], shorter_side)
        if params.layers:
            model, dim = append_layer_features(model, params.layers, config["input_size"])
        else:
            dim = int(model.head_hidden_size)
        return cls(model, "forward", preprocessing, identity, dim)


def _load(params: TimmParams) -> Any:
    """Return the model with its weights and without its classifier."""
    import timm
    from timm.models import load_checkpoint

    if params.checkpoint is None:
        return timm.create_model(params.model, pretrained=True, num_classes=0)
    path = resolve_package_path(params.checkpoint)
    if not Path(path).is_file():
        raise EncoderError(f"{path} is not a file. Set `checkpoint` to a file with the weights of {params.model}.")
    model: Any = timm.create_model(params.model)
    load_checkpoint(model, path, filter_fn=_rename_weights)
    model.reset_classifier(0)
    return model


def _rename_weights(weights: dict[str, Any], model: Any) -> dict[str, Any]:
    """Rename weights of another library to the names that the model expects.

    The weights are matched by position. Each tensor must have the expected shape and role, such as weight or bias. If a
    tensor does not match, the weights are returned unchanged, and torch reports the missing names.
    """
    expected = model.state_dict()

    def roles(tensors: dict[str, Any]) -> list[tuple[str, Any]]:
        return [(name.rpartition(".")[2], tensor.shape) for name, tensor in tensors.items()]

    if weights.keys() == expected.keys() or roles(weights) != roles(expected):
        return weights
    return dict(zip(expected, weights.values(), strict=True))


def _set_input_size(model: Any, params: TimmParams) -> None:
    """Apply `image_size` to a model with a fixed input size, such as a vision transformer."""
    if params.image_size and model.pretrained_cfg.get("fixed_input_size"):
        if not hasattr(model, "set_input_size"):
            side = model.pretrained_cfg["input_size"][-1]
            raise EncoderError(f"{params.model} supports only {side} x {side} pixels. Remove `image_size`.")
        model.set_input_size(img_size=params.image_size)


def _preprocessing_options(params: TimmParams) -> dict[str, Any]:
    """Return the timm options that change the default preprocessing of the model."""
    size = {"img_size": params.image_size} if params.image_size else {}
    return size | ({"crop_mode": "squash", "crop_pct": 1.0} if params.whole_photo else {})


def _check_folder(folder: Path) -> None:
    """Raise EncoderError if `config.json` in the folder does not define the preprocessing."""
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise EncoderError(
            f"{path} does not exist. Set `model` to the name of a timm model, or to a folder that timm saved."
        ) from error
    except (OSError, ValueError) as error:
        raise EncoderError(f"{path} is not valid JSON ({error}). Restore the file.") from error
    settings = config.get("pretrained_cfg", {})
    missing = [key for key in ("input_size", "mean", "std") if key not in settings]
    if missing:
        raise EncoderError(f"{path}: pretrained_cfg does not contain {', '.join(missing)}. Add the missing keys.")
