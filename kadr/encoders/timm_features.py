"""The encoders by timm: a photo's pooled features before the classifier."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from kadr.embeddings import Vectors
from kadr.encoders.base import Identity, ImageEncoder, Pixels, unit
from kadr.encoders.torch_models import device, dtype_of, resolve_precision, weights_sha256
from kadr.errors import EncoderError
from kadr.openclip import LOCAL, loading
from kadr.params import Precision, TimmParams


class TimmImageEncoder(ImageEncoder):
    """Any timm model without its classifier, with the preprocessing that its pretrained config gives."""

    def __init__(self, spec: TimmParams, precision: Precision) -> None:
        import timm
        import torch
        from timm.data.config import resolve_data_config
        from timm.data.transforms_factory import create_transform

        if spec.model.startswith(LOCAL):
            _check_folder(Path(spec.model.removeprefix(LOCAL)))
        with loading(spec.model):
            model: Any = timm.create_model(spec.model, pretrained=True, num_classes=0).eval()
        config = resolve_data_config({}, model=model)  # type: ignore[no-untyped-call]
        self._transform = create_transform(**config, is_training=False)
        on = device()
        resolved = resolve_precision(precision, on, model)
        self.dim = int(model.head_hidden_size)
        self.identity = Identity(
            encoder=f"timm {spec.model}",
            architecture=f"timm {model.pretrained_cfg['architecture']}",
            weights_sha256=weights_sha256(model),
            preprocessing=json.dumps(config, sort_keys=True),
            precision=resolved,
        )
        self._dtype = dtype_of(resolved)
        self._model = model.to(on, self._dtype, memory_format=torch.channels_last)

    def prepare(self, image: Image.Image) -> Pixels:
        """The model's own preprocessing of one RGB photo: (3, height, width) float32."""
        return np.asarray(self._transform(image).numpy(), dtype=np.float32)

    def encode(self, pixels: Pixels) -> Vectors:
        """(n, 3, height, width) float32 to (n, d) float32, unit norm."""
        import torch

        with torch.inference_mode():
            photos = torch.from_numpy(pixels).to(device(), self._dtype, memory_format=torch.channels_last)
            return unit(self._model(photos).float().cpu().numpy(), self.identity.encoder)


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
