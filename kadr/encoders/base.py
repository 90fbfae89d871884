"""Base classes of the encoders. `transform` returns unit vectors; `identity` describes everything they depend on."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from PIL import Image

from kadr.errors import EncoderError
from kadr.io.embeddings import Vectors
from kadr.io.image_decoding import decode_image
from kadr.io.storage import Location
from kadr.params import EncoderParams, Precision

IDENTITY_NAME = "encoder.json"
Pixels = npt.NDArray[Any]


@dataclass(frozen=True)
class Identity:
    """Everything that a vector depends on besides the image or the text.

    Attributes:
        encoder: readable name from the settings. It is not part of the key: two names of the same weights share one
            cache.
        architecture: backend and configuration of the model.
        weights_sha256: hash of the name, type, shape and bytes of every tensor.
        preprocessing: preprocessing of an image or a text.
        precision: precision of the forward pass: fp32, bf16 or fp16.
    """

    encoder: str
    architecture: str
    weights_sha256: str
    preprocessing: str
    precision: str

    @property
    def key(self) -> str:
        """Cache key of 32 hexadecimal digits. Encoders that give the same vectors have the same key."""
        parts = [self.architecture, self.weights_sha256, self.preprocessing, self.precision]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]

    @property
    def metadata(self) -> dict[str, str]:
        """The key and all fields, to store in the metadata of a file."""
        return {"key": self.key, **asdict(self)}


class ImageEncoder(ABC):
    """Encoder of images. `preprocess_bytes` may run in threads next to `encode`, and `encode` in `workers` threads.

    Attributes:
        params_model: settings model of the backend.
        identity: everything that the vectors depend on.
        dim: length of a vector.
        shorter_side: pixels of the shorter side that `preprocess` needs. JPEGs are decoded no larger than necessary.
            None decodes every image at full size.
        workers: number of batches to encode at the same time.
    """

    params_model: ClassVar[type[EncoderParams]]
    identity: Identity
    dim: int
    shorter_side: int | None = None
    workers: int = 1

    @classmethod
    def load(cls, params: Any, precision: Precision) -> Self:
        """Load the encoder that `params` describe.

        Raises:
            EncoderError: the weights cannot be found or loaded.
        """
        raise NotImplementedError(f"{cls.__name__} has no method `load`, so it cannot be registered as a backend")

    @abstractmethod
    def preprocess(self, image: Image.Image) -> Pixels:
        """Preprocess one RGB image for `encode`: (3, height, width)."""

    @abstractmethod
    def encode(self, images: Sequence[Pixels]) -> Vectors:
        """Run the forward pass.

        Args:
            images: one or more images, as `preprocess` or `preprocess_bytes` returns them.

        Returns:
            (n_images, d) float32, unit norm.

        Raises:
            UndecodableError: an image that the device should decode is damaged.
        """

    def preprocess_bytes(self, content: bytes, path: Location) -> Pixels:
        """Decode one image file and preprocess it for `encode`.

        Args:
            content: bytes of the file.
            path: path or URI of the file, for error messages.

        Raises:
            UndecodableError: the image cannot be decoded.
        """
        return self.preprocess(decode_image(content, path, self.shorter_side))

    def share_cores(self) -> AbstractContextManager[None]:
        """Return a context in which `workers` threads share the CPU cores."""
        return nullcontext()

    def transform(self, images: Sequence[Image.Image]) -> Vectors:
        """Encode RGB images: (n_images, d) float32, unit norm."""
        if not images:
            return np.empty((0, self.dim), dtype=np.float32)
        return self.encode([self.preprocess(image) for image in images])


class TextEncoder(ABC):
    """Encoder of texts.

    Attributes:
        params_model: settings model of the backend.
        identity: everything that the vectors depend on.
        dim: length of a vector.
    """

    params_model: ClassVar[type[EncoderParams]]
    identity: Identity
    dim: int

    @classmethod
    @abstractmethod
    def fit(cls, params: Any, precision: Precision, texts: Sequence[str], seed: int) -> Self:
        """Fit the encoder that `params` describe on training texts.

        Raises:
            EncoderError: the encoder cannot be loaded or fitted.
        """

    @classmethod
    @abstractmethod
    def load(cls, params: Any, precision: Precision, folder: Path) -> Self:
        """Load an encoder from the folder that `save` wrote.

        Raises:
            EncoderError: the encoder cannot be loaded.
        """

    @abstractmethod
    def transform(self, texts: Sequence[str]) -> Vectors:
        """Encode texts: (n_texts, d) float32, unit norm."""

    def save(self, folder: Path) -> None:
        """Write everything that `load` needs, except the weights that the settings name."""
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.identity.metadata, indent=2, ensure_ascii=False)
        (folder / IDENTITY_NAME).write_text(text + "\n", encoding="utf-8")


class PretrainedTextEncoder(TextEncoder):
    """Base class of text encoders that need no fit. The constructor takes the settings and the precision."""

    @abstractmethod
    def __init__(self, params: Any, precision: Precision) -> None: ...

    @classmethod
    def fit(cls, params: Any, precision: Precision, texts: Sequence[str], seed: int) -> Self:
        """Load the encoder. The texts and the seed are not used.

        Raises:
            EncoderError: the encoder cannot be loaded.
        """
        return cls(params, precision)

    @classmethod
    def load(cls, params: Any, precision: Precision, folder: Path) -> Self:
        """Load the encoder and compare it with the one that was saved.

        Raises:
            EncoderError: the encoder cannot be loaded, or differs from the saved one.
        """
        encoder = cls(params, precision)
        saved = read_identity(folder)
        for field in ("architecture", "weights_sha256", "preprocessing"):
            if saved.get(field) != getattr(encoder.identity, field):
                raise EncoderError(
                    f"{folder / IDENTITY_NAME}: {field} of {encoder.identity.encoder} has changed since the texts were "
                    "embedded. Run `dvc repro`."
                )
        return encoder


def read_identity(folder: Path) -> dict[str, str]:
    """Read the identity that `TextEncoder.save` wrote.

    Raises:
        EncoderError: the file is missing or damaged.
    """
    path = folder / IDENTITY_NAME
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise EncoderError(f"{path} does not exist. Run `dvc repro embed_texts` to write it.") from error
    except (OSError, ValueError) as error:
        raise EncoderError(f"{path} is not valid JSON ({error}). Run `dvc repro embed_texts`.") from error


def missing_package_error(name: str, error: ImportError, extra: str) -> EncoderError:
    """Return the error for an encoder whose library is not installed.

    Args:
        name: name of the encoder or of its setting.
        error: error of the import.
        extra: extra of kadr that installs the library.
    """
    return EncoderError(
        f"{name} needs the package {error.name}, which is not installed. Install it with `pip install 'kadr[{extra}]'`."
    )


def to_unit_norm(vectors: npt.NDArray[np.floating[Any]], encoder: str) -> Vectors:
    """Scale vectors (n, d) to unit norm, as float32.

    Args:
        vectors: (n, d).
        encoder: name of the encoder, for the error message.

    Raises:
        EncoderError: a vector is zero or not finite.
    """
    vectors = np.asarray(vectors, dtype=np.float32)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not (np.isfinite(norms) & (norms > 0)).all():
        raise EncoderError(f"{encoder} returned a vector that is zero or not finite. Set precision: fp32.")
    return np.asarray(vectors / norms, dtype=np.float32)
