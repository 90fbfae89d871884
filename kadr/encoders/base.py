"""Base classes for image encoders and text encoders, and `Identity`, which identifies an encoder in the cache."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from PIL import Image

from kadr.encoders.scripts import LATIN
from kadr.encoders.text_reading import TextReading, TokenReader
from kadr.errors import EncoderError
from kadr.io.embeddings import Vectors
from kadr.io.image_decoding import DECODER_VERSION, DEFAULT_LIMITS, decode_image
from kadr.io.storage import Location
from kadr.params import DecodingParams, EncoderParams, Precision

IDENTITY_NAME = "encoder.json"
Pixels = npt.NDArray[Any]


@dataclass(frozen=True)
class Identity:
    """Identity of an encoder: all properties of the encoder that affect its vectors.

    Attributes:
        encoder: human-readable name of the encoder. The cache key does not depend on the name, so the same weights
            share one cache under different names.
        architecture: name of the backend and configuration of the model.
        weights_sha256: SHA-256 hash of the weights, as a hexadecimal string.
        preprocessing: description of the preprocessing that is applied to each image or text.
        precision: number format of the forward pass: fp32, bf16 or fp16.
    """

    encoder: str
    architecture: str
    weights_sha256: str
    preprocessing: str
    precision: str

    @property
    def key(self) -> str:
        """Cache key of 32 hexadecimal digits. The key depends on every property that affects the vectors."""
        parts = [self.architecture, self.weights_sha256, self.preprocessing, self.precision]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]

    @property
    def metadata(self) -> dict[str, str]:
        """Dict with the cache key and all fields as strings, for the metadata of a file."""
        return {"key": self.key, **asdict(self)}


class ImageEncoder(ABC):
    """Base class for image encoders.

    Several threads may use `preprocess_bytes` and `encode` of the same encoder concurrently.

    Attributes:
        params_model: pydantic model of the backend's settings.
        identity: identity of the encoder. The cache key is computed from the identity.
        dim: length of each vector.
        shorter_side: shorter side of an image, in pixels, that `preprocess` needs. Much larger JPEGs are decoded at a
            reduced size. If `shorter_side` is None, every image is decoded at full size.
        workers: recommended number of threads that call `encode` concurrently.
        decoding: settings of the image decoder.
    """

    params_model: ClassVar[type[EncoderParams]]
    identity: Identity
    dim: int
    shorter_side: int | None = None
    workers: int = 1
    decoding: DecodingParams = DEFAULT_LIMITS

    @classmethod
    def load(cls, params: Any, precision: Precision) -> Self:
        """Load the encoder.

        Args:
            params: settings of the encoder.
            precision: number format of the forward pass.

        Raises:
            EncoderError: the weights cannot be found or loaded.
        """
        raise NotImplementedError(f"{cls.__name__} does not implement the class method `load`. Add the method.")

    def use_decoding(self, decoding: DecodingParams) -> None:
        """Set the settings of the image decoder.

        The version of the decoder and the background of transparent images are added to the identity, because they
        affect the vectors. Call this method once. `load_image_encoder` calls it.
        """
        red, green, blue = decoding.background_rgb
        decoder = f"decoder {DECODER_VERSION}, background #{red:02x}{green:02x}{blue:02x}"
        self.decoding = decoding
        self.identity = replace(self.identity, preprocessing=f"{self.identity.preprocessing} {decoder}")

    @abstractmethod
    def preprocess(self, image: Image.Image) -> Pixels:
        """Preprocess one RGB image for `encode`, and return an array (3, height, width)."""

    @abstractmethod
    def encode(self, images: Sequence[Pixels]) -> Vectors:
        """Encode preprocessed images.

        Args:
            images: one or more arrays that `preprocess` or `preprocess_bytes` returned.

        Returns:
            Unit vectors, (n_images, d) float32.

        Raises:
            UndecodableError: the device cannot decode one of the images.
        """

    def preprocess_bytes(self, content: bytes, path: Location) -> Pixels:
        """Decode one image file and preprocess it for `encode`.

        Args:
            content: bytes of the image file.
            path: path or URI of the file, shown in error messages.

        Raises:
            UndecodableError: the image cannot be decoded.
        """
        return self.preprocess(decode_image(content, path, self.shorter_side, limits=self.decoding))

    def share_cores(self) -> AbstractContextManager[None]:
        """Return a context manager that divides the CPU cores among `workers` threads.

        Subclasses may override this method. The context manager of the base class does nothing.
        """
        return nullcontext()

    def transform(self, images: Sequence[Image.Image]) -> Vectors:
        """Encode RGB images as unit vectors, (n_images, d) float32."""
        if not images:
            return np.empty((0, self.dim), dtype=np.float32)
        return self.encode([self.preprocess(image) for image in images])


class TextEncoder(ABC):
    """Base class for text encoders.

    Attributes:
        params_model: pydantic model of the backend's settings.
        identity: identity of the encoder. The cache key is computed from the identity.
        dim: length of each vector.
        token_reader: tokenizer of the encoder. None if it is not known how the encoder reads a text.
        declared_languages: languages from the settings, as ISO 639-1 codes. None if the settings do not name any.
    """

    params_model: ClassVar[type[EncoderParams]]
    identity: Identity
    dim: int
    token_reader: TokenReader | None = None
    declared_languages: Sequence[str] | None = None

    @property
    def languages(self) -> frozenset[str] | None:
        """Languages that the encoder knows, as ISO 639-1 codes. None for all languages.

        If the settings do not name languages, an encoder whose vocabulary has only Latin letters knows English, and any
        other encoder knows all languages.
        """
        if self.declared_languages is not None:
            return frozenset(self.declared_languages)
        return frozenset({"en"}) if self.scripts == frozenset({LATIN}) else None

    @property
    def scripts(self) -> frozenset[str] | None:
        """Scripts that the encoder knows, by their Unicode names. None if they are not known."""
        return None if self.token_reader is None else self.token_reader.scripts

    def read_text(self, text: str) -> TextReading | None:
        """Return how the encoder reads a text, or None if it is not known."""
        return None if self.token_reader is None else self.token_reader.read(text)

    @classmethod
    @abstractmethod
    def fit(cls, params: Any, precision: Precision, texts: Sequence[str], seed: int) -> Self:
        """Fit a new encoder on training texts.

        Args:
            params: settings of the encoder.
            precision: number format of the forward pass.
            texts: training texts.
            seed: random seed for fitting.

        Raises:
            EncoderError: the encoder cannot be loaded or fitted.
        """

    @classmethod
    @abstractmethod
    def load(cls, params: Any, precision: Precision, folder: Path) -> Self:
        """Load a saved encoder.

        Args:
            params: settings of the encoder.
            precision: number format of the forward pass.
            folder: folder that `save` wrote.

        Raises:
            EncoderError: the encoder cannot be loaded.
        """

    @abstractmethod
    def transform(self, texts: Sequence[str]) -> Vectors:
        """Encode texts as unit vectors, (n_texts, d) float32."""

    def save(self, folder: Path) -> None:
        """Save the encoder to a folder from which `load` can restore it. Pretrained weights are not copied."""
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.identity.metadata, indent=2, ensure_ascii=False)
        (folder / IDENTITY_NAME).write_text(text + "\n", encoding="utf-8")


class PretrainedTextEncoder(TextEncoder):
    """Base class for text encoders that are not fitted on training texts.

    The constructor of a subclass takes the settings and the precision.
    """

    @abstractmethod
    def __init__(self, params: Any, precision: Precision) -> None: ...

    @classmethod
    def fit(cls, params: Any, precision: Precision, texts: Sequence[str], seed: int) -> Self:
        """Load the pretrained encoder. The arguments `texts` and `seed` are ignored.

        Raises:
            EncoderError: the encoder cannot be loaded.
        """
        return cls(params, precision)

    @classmethod
    def load(cls, params: Any, precision: Precision, folder: Path) -> Self:
        """Load the encoder, and check that it has not changed since it was saved.

        Raises:
            EncoderError: the encoder cannot be loaded, or differs from the saved encoder.
        """
        encoder = cls(params, precision)
        saved = read_identity(folder)
        for field in ("architecture", "weights_sha256", "preprocessing"):
            if saved.get(field) != getattr(encoder.identity, field):
                raise EncoderError(
                    f"{folder / IDENTITY_NAME}: {field} of {encoder.identity.encoder} has changed since the texts were "
                    "embedded. Run `dvc repro` to embed the texts again."
                )
        return encoder

    @classmethod
    def load_for_queries(cls, params: Any, precision: Precision, folder: Path | None = None) -> "PretrainedTextEncoder":
        """Load an encoder for single texts. Subclasses can return another encoder that loads and encodes faster.

        The cosine between the vectors of the two encoders must be at least 0.999.

        Args:
            params: settings of the encoder.
            precision: number format of the forward pass.
            folder: folder that `save` wrote, to check that the encoder has not changed. None skips the check.

        Raises:
            EncoderError: the encoder cannot be loaded, or differs from the saved encoder.
        """
        return cls(params, precision) if folder is None else cls.load(params, precision, folder)


def read_identity(folder: Path) -> dict[str, str]:
    """Read the encoder identity that `TextEncoder.save` wrote to a folder.

    Raises:
        EncoderError: the file is missing or damaged.
    """
    path = folder / IDENTITY_NAME
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise EncoderError(f"{path} does not exist. Run `dvc repro embed_texts` to create it.") from error
    except (OSError, ValueError) as error:
        raise EncoderError(f"{path} is not valid JSON ({error}). Run `dvc repro embed_texts` to rewrite it.") from error


def missing_package_error(name: str, error: ImportError, extra: str) -> EncoderError:
    """Return the error for an encoder whose library is not installed.

    Args:
        name: encoder or setting that needs the library.
        error: ImportError that was raised when the library was imported.
        extra: name of the kadr extra that installs the library.
    """
    return EncoderError(
        f"{name} needs the package {error.name}, which is not installed. Install it with `pip install 'kadr[{extra}]'`."
    )


def to_unit_norm(vectors: npt.NDArray[np.floating[Any]], encoder: str) -> Vectors:
    """Scale vectors to unit norm and convert them to float32.

    Args:
        vectors: vectors of any float type, (n, d).
        encoder: name of the encoder, shown in the error message.

    Raises:
        EncoderError: a vector is zero, or contains NaN or infinity.
    """
    vectors = np.asarray(vectors, dtype=np.float32)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not (np.isfinite(norms) & (norms > 0)).all():
        raise EncoderError(
            f"{encoder} returned a vector that is zero or contains NaN or infinity. Set `precision: fp32`."
        )
    return np.asarray(vectors / norms, dtype=np.float32)
