"""The encoders by open_clip: photos and texts in one space."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from kadr.encoders.base import Identity, PretrainedTextEncoder, unit
from kadr.encoders.open_clip_models import load_clip, loading, quiet
from kadr.encoders.preprocessing import Preparation
from kadr.encoders.torch_images import OURS, TorchImageEncoder
from kadr.encoders.torch_models import columns_first, device, dtype_of, resolve_precision, weights_sha256
from kadr.io.embeddings import Vectors
from kadr.params import OpenClipParams, Precision

if TYPE_CHECKING:
    import torch


class OpenClipImageEncoder(TorchImageEncoder):
    """A CLIP's image tower, with the preprocessing that its config gives."""

    def __init__(self, spec: OpenClipParams, precision: Precision) -> None:
        from open_clip.transform import PreprocessCfg, image_transform_v2

        model, identity, dim = _load(spec, precision)
        settings = PreprocessCfg(**model.visual.preprocess_cfg)
        *geometry, _to_rgb, _to_tensor, _normalise = image_transform_v2(settings, is_train=False).transforms
        size = settings.size if isinstance(settings.size, int) else max(settings.size)
        preparation = Preparation(geometry, settings.mean, settings.std, size)
        super().__init__(model, "encode_image", preparation, identity, dim)


class OpenClipTextEncoder(PretrainedTextEncoder):
    """A CLIP's text tower with its tokenizer."""

    def __init__(self, spec: OpenClipParams, precision: Precision) -> None:
        import open_clip

        model, identity, self.dim = _load(spec, precision)
        self._model: Any = columns_first(model.to(device(), dtype_of(identity.precision)))
        with loading(spec.model), quiet():
            self._tokenize = open_clip.get_tokenizer(spec.model)
        preprocessing = f"{type(self._tokenize).__name__}, {self._tokenize.context_length} tokens"
        self.identity = replace(identity, preprocessing=preprocessing)

    def transform(self, texts: Sequence[str]) -> Vectors:
        """(n, d) float32, unit norm, of n texts."""
        import torch

        if not texts:
            return np.empty((0, self.dim), dtype=np.float32)
        with torch.inference_mode():
            features = self._encode(self._tokenize(list(texts)).to(device()))
            return unit(features.float().cpu().numpy(), self.identity.encoder)

    def _encode(self, tokens: "torch.Tensor") -> Any:
        """The forward pass without the tokens behind the longest text's end, where nothing before depends on them."""
        from torch.func import functional_call

        if not _reads_up_to_the_end(self._model):
            return self._model.encode_text(tokens)
        n = int(tokens.argmax(dim=1).max()) + 1
        own = {"positional_embedding": self._model.positional_embedding[:n], "attn_mask": self._model.attn_mask[:n, :n]}
        return functional_call(self._model, own, (None, tokens[:, :n]), tie_weights=False)[1]


def _reads_up_to_the_end(model: Any) -> bool:
    """Whether a text's vector is what a causal tower says at the token of the highest number, its end, as in CLIP."""
    import open_clip

    return type(model) is open_clip.CLIP and model.text_pool_type == "argmax" and model.attn_mask is not None


def _load(spec: OpenClipParams, precision: Precision) -> tuple[Any, Identity, int]:
    """The model in fp32 on the CPU, the image tower's identity, and the length of a vector."""
    import open_clip

    model = load_clip(spec.model, spec.pretrained)
    with loading(spec.model):
        config = open_clip.get_model_config(spec.model.replace("/", "-") if ":" not in spec.model else spec.model)
    identity = Identity(
        encoder=" ".join(filter(None, ("open_clip", spec.model, spec.pretrained))),
        architecture="open_clip " + json.dumps(config, sort_keys=True),
        weights_sha256=weights_sha256(model),
        preprocessing=json.dumps({**model.visual.preprocess_cfg, **OURS}, sort_keys=True),
        precision=resolve_precision(precision, device(), model),
    )
    return model, identity, int(config["embed_dim"])
