"""The encoders by timm: a photo's pooled features before the classifier, and of layers before those."""

import json
import math
from pathlib import Path
from typing import Any

from kadr.encoders.base import Identity
from kadr.encoders.layers import with_layers
from kadr.encoders.open_clip_models import LOCAL, loading
from kadr.encoders.packages import located
from kadr.encoders.preprocessing import Preparation
from kadr.encoders.torch_images import OURS, TorchImageEncoder
from kadr.encoders.torch_models import device, resolve_precision, weights_sha256
from kadr.errors import EncoderError
from kadr.params import Precision, TimmParams


class TimmImageEncoder(TorchImageEncoder):
    """Any timm model without its classifier, with the preprocessing of its pretrained config, or what `spec` asks."""

    def __init__(self, spec: TimmParams, precision: Precision) -> None:
        from timm.data.config import resolve_data_config
        from timm.data.transforms_factory import create_transform

        if spec.model.startswith(LOCAL):
            _check_folder(Path(spec.model.removeprefix(LOCAL)))
        with loading(spec.model):
            model: Any = _load(spec).eval()
            _resize(model, spec)
        config = resolve_data_config(_asked(spec), model=model)  # type: ignore[no-untyped-call]
        *geometry, _to_tensor, _normalise = create_transform(**config, is_training=False).transforms
        identity = Identity(
            encoder=" ".join(filter(None, ("timm", spec.model, spec.checkpoint))),
            architecture=" ".join(["timm", model.pretrained_cfg["architecture"], *spec.layers]),
            weights_sha256=weights_sha256(model),
            preprocessing=json.dumps({**config, **OURS}, sort_keys=True),
            precision=resolve_precision(precision, device(), model),
        )
        side = math.floor(max(config["input_size"][1:]) / config["crop_pct"])
        preparation = Preparation(geometry, config["mean"], config["std"], side)
        if spec.layers:
            model, dim = with_layers(model, spec.layers, config["input_size"])
        else:
            dim = int(model.head_hidden_size)
        super().__init__(model, "forward", preparation, identity, dim)


def _load(spec: TimmParams) -> Any:
    """The model with its weights and without its classifier."""
    import timm
    from timm.models import load_checkpoint

    if spec.checkpoint is None:
        return timm.create_model(spec.model, pretrained=True, num_classes=0)
    path = located(spec.checkpoint)
    if not Path(path).is_file():
        raise EncoderError(f"{path}: no such file; `checkpoint` is a file with the weights of {spec.model}")
    model: Any = timm.create_model(spec.model)
    load_checkpoint(model, path, filter_fn=_renamed)
    model.reset_classifier(0)
    return model


def _renamed(weights: dict[str, Any], model: Any) -> dict[str, Any]:
    """The weights under the model's names: another library's stand in the same order, in the same shapes and roles.

    Where they do not, they are given back as they are, for torch to say what is missing.
    """
    wanted = model.state_dict()

    def parts(of: dict[str, Any]) -> list[tuple[str, Any]]:
        return [(name.rpartition(".")[2], tensor.shape) for name, tensor in of.items()]

    if weights.keys() == wanted.keys() or parts(weights) != parts(wanted):
        return weights
    return dict(zip(wanted, weights.values(), strict=True))


def _resize(model: Any, spec: TimmParams) -> None:
    """Have a model with positions for its own size alone (a transformer) take photos of `image_size`."""
    if spec.image_size and model.pretrained_cfg.get("fixed_input_size"):
        if not hasattr(model, "set_input_size"):
            side = model.pretrained_cfg["input_size"][-1]
            raise EncoderError(f"{spec.model} takes photos of {side} x {side} only; leave its image_size out")
        model.set_input_size(img_size=spec.image_size)


def _asked(spec: TimmParams) -> dict[str, Any]:
    """What `spec` changes of the model's own preparation, in timm's words."""
    size = {"img_size": spec.image_size} if spec.image_size else {}
    return size | ({"crop_mode": "squash", "crop_pct": 1.0} if spec.whole_photo else {})


def _check_folder(folder: Path) -> None:
    """Raise EncoderError unless `folder` has a config.json that says how photos are prepared."""
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise EncoderError(f"{path}: no such file; give a folder in timm's local-dir layout or a name") from error
    except (OSError, ValueError) as error:
        raise EncoderError(f"{path} is not readable JSON ({error}); restore it") from error
    preparation = config.get("pretrained_cfg", {})
    missing = [key for key in ("input_size", "mean", "std") if key not in preparation]
    if missing:
        raise EncoderError(
            f"{path}: pretrained_cfg has no {', '.join(missing)}; add it: photos must be prepared as the model wants"
        )
