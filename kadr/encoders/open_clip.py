"""The open_clip backend, which embeds images and texts in one shared vector space."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from pydantic import Field

from kadr.encoders.base import Identity, PretrainedTextEncoder, to_unit_norm
from kadr.encoders.open_clip_models import explain_load_errors, load_clip, silence_logging
from kadr.encoders.preprocessing import Preprocessing
from kadr.encoders.text_reading import token_reader
from kadr.encoders.torch_images import DECODING_SETTINGS, TorchImageEncoder
from kadr.encoders.torch_models import (
    resolve_precision,
    store_weights_column_major,
    torch_device,
    torch_dtype,
    weights_sha256,
)
from kadr.encoders.weights import local_folder
from kadr.io.embeddings import Vectors
from kadr.params import EncoderParams, Languages, Precision
from kadr.user_folders import user_folders

if TYPE_CHECKING:
    import torch


class OpenClipParams(EncoderParams):
    """Settings of an open_clip encoder."""

    backend: Literal["open_clip"]
    model: str = Field(
        description="Model to load: `local-dir:FOLDER`, `hf-hub:NAME`, or the name of an open_clip architecture."
    )
    pretrained: str | None = Field(
        description="Tag of the pretrained weights of an architecture. Use null for a folder or a hub model."
    )
    languages: Languages = None

    @property
    def vector_space(self) -> str:
        """Name of the model, followed by a slash and the tag of its pretrained weights."""
        return "/".join(filter(None, (self.model, self.pretrained)))

    @property
    def weight_paths(self) -> dict[str, str]:
        """Dict with the key `model` and the folder of a `local-dir:` model. The dict is empty for other models."""
        folder = local_folder(self.model)
        return {} if folder is None else {"model": folder}

    @property
    def distributions(self) -> list[str]:
        """Names of the Python distributions that the encoder needs."""
        return ["open-clip-torch", "safetensors", "timm", "torch", "torchvision", "transformers"]


class OpenClipImageEncoder(TorchImageEncoder):
    """Image encoder that runs the image tower of a CLIP model with the preprocessing of the model."""

    params_model = OpenClipParams

    @classmethod
    def load(cls, params: OpenClipParams, precision: Precision) -> Self:
        """Load the image tower of a CLIP model.

        Raises:
            EncoderError: the model cannot be found or loaded.
        """
        from open_clip.transform import PreprocessCfg, image_transform_v2

        model, identity, dim = _load(params, precision)
        settings = PreprocessCfg(**model.visual.preprocess_cfg)
        *resizing, _to_rgb, _to_tensor, _normalise = image_transform_v2(settings, is_train=False).transforms
        size = settings.size if isinstance(settings.size, int) else max(settings.size)
        preprocessing = Preprocessing(resizing, settings.mean, settings.std, size)
        return cls(model, "encode_image", preprocessing, identity, dim)


class OpenClipTextEncoder(PretrainedTextEncoder):
    """Text encoder that runs the text tower and the tokenizer of a CLIP model."""

    params_model = OpenClipParams

    def __init__(self, params: OpenClipParams, precision: Precision) -> None:
        import open_clip

        model, identity, self.dim = _load(params, precision)
        self._model: Any = store_weights_column_major(model.to(torch_device(), torch_dtype(identity.precision)))
        with explain_load_errors(params.model), silence_logging():
            self._tokenize = open_clip.get_tokenizer(params.model, cache_dir=user_folders().models)
        preprocessing = f"{type(self._tokenize).__name__}, {self._tokenize.context_length} tokens"
        self.identity = replace(identity, preprocessing=preprocessing)
        self.declared_languages = params.languages
        self.token_reader = token_reader(self._tokenize)

    @classmethod
    def load_for_queries(
        cls, params: OpenClipParams, precision: Precision, folder: Path | None = None
    ) -> PretrainedTextEncoder:
        """Load an encoder for single texts. If the extra `onnx` is installed, it runs in ONNX Runtime, without torch.

        Raises:
            EncoderError: the encoder cannot be loaded, or differs from the saved encoder.
        """
        from kadr.encoders.open_clip_onnx import OnnxClipTextEncoder, has_text_tower

        if precision in ("auto", "fp32") and has_text_tower(params):
            return OnnxClipTextEncoder.load_for_queries(params, precision, folder)
        return super().load_for_queries(params, precision, folder)

    @property
    def model_and_tokenizer(self) -> tuple[Any, Any]:
        """CLIP model and tokenizer of open_clip."""
        return self._model, self._tokenize

    def transform(self, texts: Sequence[str]) -> Vectors:
        """Encode texts as unit vectors, (n_texts, d) float32."""
        import torch

        if not texts:
            return np.empty((0, self.dim), dtype=np.float32)
        with torch.inference_mode():
            features = self._encode(self._tokenize(list(texts)).to(torch_device()))
            return to_unit_norm(features.float().cpu().numpy(), self.identity.encoder)

    def _encode(self, tokens: "torch.Tensor") -> Any:
        """Run the forward pass. If padding has no effect, remove the padding after the longest text of the batch."""
        from torch.func import functional_call

        if not _pools_end_token(self._model):
            return self._model.encode_text(tokens)
        length = int(tokens.argmax(dim=1).max()) + 1
        truncated = {
            "positional_embedding": self._model.positional_embedding[:length],
            "attn_mask": self._model.attn_mask[:length, :length],
        }
        return functional_call(self._model, truncated, (None, tokens[:, :length]), tie_weights=False)[1]


def _pools_end_token(model: Any) -> bool:
    """Return whether padding has no effect, because the text tower is causal and pools the end token."""
    import open_clip

    return type(model) is open_clip.CLIP and model.text_pool_type == "argmax" and model.attn_mask is not None


def read_architecture(model: str) -> dict[str, Any]:
    """Return the configuration of the architecture of a CLIP model.

    Raises:
        EncoderError: the configuration cannot be loaded.
    """
    import open_clip

    with explain_load_errors(model):
        return dict(open_clip.get_model_config(model if ":" in model else model.replace("/", "-")))


def _load(params: OpenClipParams, precision: Precision) -> tuple[Any, Identity, int]:
    """Return the model in fp32 on the CPU, the identity of its image tower, and the length of a vector."""
    model = load_clip(params.model, params.pretrained)
    config = read_architecture(params.model)
    identity = Identity(
        encoder=" ".join(filter(None, ("open_clip", params.model, params.pretrained))),
        architecture="open_clip " + json.dumps(config, sort_keys=True),
        weights_sha256=weights_sha256(model),
        preprocessing=json.dumps({**model.visual.preprocess_cfg, **DECODING_SETTINGS}, sort_keys=True),
        precision=resolve_precision(precision, torch_device(), model),
    )
    return model, identity, int(config["embed_dim"])
