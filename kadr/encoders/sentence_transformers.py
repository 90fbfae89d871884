"""The encoders by sentence-transformers: SBERT and its kin."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from kadr.encoders.base import Identity, PretrainedTextEncoder, unit
from kadr.encoders.open_clip_models import loading, quiet
from kadr.encoders.packages import located
from kadr.encoders.torch_models import columns_first, device, dtype_of, resolve_precision, weights_sha256
from kadr.io.embeddings import Vectors
from kadr.params import Precision, SentenceTransformersParams


class SentenceEncoder(PretrainedTextEncoder):
    """Any model that sentence-transformers loads; its default prompt, if it has one, is applied."""

    def __init__(self, spec: SentenceTransformersParams, precision: Precision) -> None:
        with loading(spec.model), quiet():
            from sentence_transformers import SentenceTransformer
            from transformers.utils.logging import disable_progress_bar

            disable_progress_bar()  # type: ignore[no-untyped-call]
            model = SentenceTransformer(located(spec.model), device="cpu")
        on = device()
        resolved = resolve_precision(precision, on, model)
        self.dim = int(model.get_embedding_dimension() or 0)
        self.identity = Identity(
            encoder=f"sentence_transformers {spec.model}",
            architecture="sentence_transformers " + json.dumps([type(module).__name__ for module in model]),
            weights_sha256=weights_sha256(model),
            preprocessing=f"{model.max_seq_length} tokens, tokenizer {_tokenizer_sha256(model.tokenizer)}",
            precision=resolved,
        )
        self._model: Any = columns_first(model.to(on, dtype_of(resolved)))
        self._prompt = model.prompts.get(model.default_prompt_name or "")

    def transform(self, texts: Sequence[str]) -> Vectors:
        """(n, d) float32, unit norm, of n texts."""
        import torch
        from sentence_transformers.util import batch_to_device

        if not texts:
            return np.empty((0, self.dim), dtype=np.float32)
        with torch.inference_mode():  # what `encode` does, without its walks over all modules: 2 ms of one text's 16
            features = batch_to_device(self._model.preprocess(list(texts), prompt=self._prompt), self._model.device)
            vectors = self._model(features)["sentence_embedding"][:, : self._model.truncate_dim]
            return unit(vectors.float().cpu().numpy(), self.identity.encoder)


def _tokenizer_sha256(tokenizer: object) -> str:
    """Of a fast tokenizer's whole definition; of its description where it is not a fast one."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    text = repr(tokenizer) if backend is None else backend.to_str()
    return hashlib.sha256(text.encode()).hexdigest()[:16]
