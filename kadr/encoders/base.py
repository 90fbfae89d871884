"""The encoders' common surface: `transform` gives (n, d) float32 unit vectors, `identity` says what they depend on."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from PIL import Image

from kadr.errors import EncoderError
from kadr.io.embeddings import Vectors
from kadr.io.image_decoding import decode
from kadr.io.storage import Location
from kadr.params import Precision

IDENTITY_NAME = "encoder.json"
Pixels = npt.NDArray[Any]


@dataclass(frozen=True)
class Identity:
    """All that a vector depends on beside the photo or the text.

    Attributes:
        encoder: what params call it; for people, no part of the key: two names for the same weights share the cache.
        architecture: backend and configuration of the model.
        weights_sha256: of every tensor's name, type, shape and bytes.
        preprocessing: how a photo or a text is prepared.
        precision: of the forward pass: fp32, bf16 or fp16.
    """

    encoder: str
    architecture: str
    weights_sha256: str
    preprocessing: str
    precision: str

    @property
    def key(self) -> str:
        """32 hexadecimal digits, the same where the vectors are."""
        parts = [self.architecture, self.weights_sha256, self.preprocessing, self.precision]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]

    @property
    def metadata(self) -> dict[str, str]:
        """The key and the fields, for a file's metadata."""
        return {"key": self.key, **asdict(self)}


class ImageEncoder(ABC):
    """Photos to unit vectors. `read` may run in many threads beside `encode`, and `encode` in `workers` threads.

    Attributes:
        identity: what the vectors depend on.
        dim: numbers in a vector.
        side: pixels that the shorter side of a photo should have for `prepare`; None wants them as they are.
        workers: how many batches `encode` is best given at once.
    """

    identity: Identity
    dim: int
    side: int | None = None
    workers: int = 1

    @abstractmethod
    def prepare(self, image: Image.Image) -> Pixels:
        """The encoder's own preprocessing of one RGB photo: (3, height, width)."""

    @abstractmethod
    def encode(self, photos: Sequence[Pixels]) -> Vectors:
        """The forward pass: n photos, as `read` and `prepare` give them, to (n, d) float32, unit norm; n is 1 or more.

        Raises:
            UndecodableError: where `read` left the decoding to it and a photo does not decode.
        """

    def read(self, content: bytes, path: Location) -> Pixels:
        """What `encode` wants of the photo that `content`, read from `path`, is. Raises UndecodableError."""
        return self.prepare(decode(content, path, self.side))

    def at_work(self) -> AbstractContextManager[None]:
        """A block in which many batches are encoded by `workers` threads."""
        return nullcontext()

    def transform(self, images: Sequence[Image.Image]) -> Vectors:
        """(n, d) float32, unit norm, of n photos in RGB."""
        if not images:
            return np.empty((0, self.dim), dtype=np.float32)
        return self.encode([self.prepare(image) for image in images])


class TextEncoder(ABC):
    """Texts to unit vectors."""

    identity: Identity
    dim: int

    @classmethod
    @abstractmethod
    def fit(cls, spec: Any, precision: Precision, texts: Sequence[str], seed: int) -> Self:
        """The encoder that `spec` names, fitted on the training texts where its kind is fitted. Raises EncoderError."""

    @classmethod
    @abstractmethod
    def load(cls, spec: Any, precision: Precision, folder: Path) -> Self:
        """The encoder that was saved to `folder`. Raises EncoderError."""

    @abstractmethod
    def transform(self, texts: Sequence[str]) -> Vectors:
        """(n, d) float32, unit norm, of n texts."""

    def save(self, folder: Path) -> None:
        """Write to `folder` what `load` needs beside the weights that `spec` names."""
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.identity.metadata, indent=2, ensure_ascii=False)
        (folder / IDENTITY_NAME).write_text(text + "\n", encoding="utf-8")


class PretrainedTextEncoder(TextEncoder):
    """A text encoder that comes fitted: its constructor takes `spec` and `precision`."""

    @abstractmethod
    def __init__(self, spec: Any, precision: Precision) -> None: ...

    @classmethod
    def fit(cls, spec: Any, precision: Precision, texts: Sequence[str], seed: int) -> Self:
        """The encoder that `spec` names; the texts and the seed change nothing. Raises EncoderError."""
        return cls(spec, precision)

    @classmethod
    def load(cls, spec: Any, precision: Precision, folder: Path) -> Self:
        """The encoder that `spec` names, if it is still the one that was saved to `folder`. Raises EncoderError."""
        encoder = cls(spec, precision)
        saved = read_identity(folder)
        for field in ("architecture", "weights_sha256", "preprocessing"):
            if saved.get(field) != getattr(encoder.identity, field):
                raise EncoderError(
                    f"{folder / IDENTITY_NAME}: {encoder.identity.encoder} has another {field} now than when the texts "
                    "were embedded; run `dvc repro`"
                )
        return encoder


def read_identity(folder: Path) -> dict[str, str]:
    """What `TextEncoder.save` wrote to encoder.json. Raises EncoderError."""
    path = folder / IDENTITY_NAME
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise EncoderError(f"{path}: no such file; run `dvc repro embed_texts` to write it") from error
    except (OSError, ValueError) as error:
        raise EncoderError(f"{path} is not readable JSON ({error}); run `dvc repro embed_texts`") from error


def unit(vectors: npt.NDArray[np.floating[Any]], encoder: str) -> Vectors:
    """(n, d) as float32 of unit norm. Raises EncoderError where a vector is zero or not finite."""
    vectors = np.asarray(vectors, dtype=np.float32)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not (np.isfinite(norms) & (norms > 0)).all():
        raise EncoderError(f"{encoder} gave a vector that is zero or not finite; try precision: fp32")
    return np.asarray(vectors / norms, dtype=np.float32)
