"""The encoders by open_clip: photos and texts in one space."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from kadr.embeddings import Vectors
from kadr.encoders.base import Identity, ImageEncoder, Pixels, PretrainedTextEncoder, unit
from kadr.encoders.torch_models import device, dtype_of, resolve_precision, weights_sha256
from kadr.openclip import load_clip, loading, quiet
from kadr.params import OpenClipParams, Precision

if TYPE_CHECKING:
    import torch


class OpenClipImageEncoder(ImageEncoder):
    """A CLIP's image tower, with the preprocessing that its config gives."""

    def __init__(self, spec: OpenClipParams, precision: Precision) -> None:
        from open_clip.transform import PreprocessCfg, image_transform_v2

        self._model, self._dtype, self.identity, self.dim = _load(spec, precision)
        settings = self._model.visual.preprocess_cfg
        self._transform = image_transform_v2(PreprocessCfg(**settings), is_train=False)

    def prepare(self, image: Image.Image) -> Pixels:
        """open_clip's own preprocessing of one RGB photo: (3, height, width) float32."""
        return np.asarray(self._transform(image).numpy(), dtype=np.float32)

    def encode(self, pixels: Pixels) -> Vectors:
        """(n, 3, height, width) float32 to (n, d) float32, unit norm."""
        import torch

        with torch.inference_mode():
            photos = torch.from_numpy(pixels).to(device(), self._dtype, memory_format=torch.channels_last)
            return unit(self._model.encode_image(photos).float().cpu().numpy(), self.identity.encoder)


class OpenClipTextEncoder(PretrainedTextEncoder):
    """A CLIP's text tower with its tokenizer."""

    def __init__(self, spec: OpenClipParams, precision: Precision) -> None:
        import open_clip

        self._model, self._dtype, identity, self.dim = _load(spec, precision)
        with loading(spec.model), quiet():
            self._tokenize = open_clip.get_tokenizer(spec.model)
        preprocessing = f"{type(self._tokenize).__name__}, {self._tokenize.context_length} tokens"
        self.identity = Identity(
            identity.encoder, identity.architecture, identity.weights_sha256, preprocessing, identity.precision
        )

    def transform(self, texts: Sequence[str]) -> Vectors:
        """(n, d) float32, unit norm, of n texts."""
        import torch

        if not texts:
            return np.empty((0, self.dim), dtype=np.float32)
        with torch.inference_mode():
            tokens = self._tokenize(list(texts)).to(device())
            return unit(self._model.encode_text(tokens).float().cpu().numpy(), self.identity.encoder)


def _load(spec: OpenClipParams, precision: Precision) -> "tuple[Any, torch.dtype, Identity, int]":
    """The model in its precision, that precision, the image tower's identity, and the length of a vector."""
    import open_clip

    on = device()
    model = load_clip(spec.model, spec.pretrained)
    resolved = resolve_precision(precision, on, model)
    with loading(spec.model):
        config = open_clip.get_model_config(spec.model.replace("/", "-") if ":" not in spec.model else spec.model)
    identity = Identity(
        encoder=" ".join(filter(None, ("open_clip", spec.model, spec.pretrained))),
        architecture="open_clip " + json.dumps(config, sort_keys=True),
        weights_sha256=weights_sha256(model),
        preprocessing=json.dumps(model.visual.preprocess_cfg, sort_keys=True),
        precision=resolved,
    )
    if resolved != "fp32":
        model = load_clip(spec.model, spec.pretrained, resolved)
    return model.to(on), dtype_of(resolved), identity, int(config["embed_dim"])
