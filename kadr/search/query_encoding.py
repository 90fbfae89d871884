"""Encode the texts and images of queries. Text vectors are cached."""

import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Protocol

import numpy as np
from PIL import Image

from kadr.encoders.torch_models import available_cores
from kadr.errors import SearchError
from kadr.features import Texts
from kadr.io.embeddings import Vectors
from kadr.io.image_decoding import DEFAULT_LIMITS
from kadr.io.texts import normalise_text
from kadr.params import DecodingParams

_CACHE_SIZE = 4096  # maximum number of cached texts


class TextEmbedder(Protocol):
    """Interface that a text encoder must have for search."""

    def transform(self, texts: Sequence[str]) -> Vectors:
        """Encode n texts as unit vectors: (n, d) float32."""


class ImageEmbedder(Protocol):
    """Interface that an image encoder must have for search."""

    shorter_side: int | None

    def transform(self, images: Sequence[Image.Image]) -> Vectors:
        """Encode n RGB images as unit vectors: (n, d) float32."""


class TextQueryEncoder:
    """Encode texts with several encoders, and cache the vectors of recent texts. The class is thread-safe.

    The encoders run in parallel, each with an equal share of the CPU cores, because the forward pass of a single text
    is too small to use all cores.

    Args:
        encoders: encoder name -> text encoder.
    """

    def __init__(self, encoders: Mapping[str, TextEmbedder]) -> None:
        self._encoders = encoders
        self._cache: dict[str, dict[str, Vectors]] = {}  # sorted by last use
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(max(1, len(encoders)), "text encoder", partial(_limit_cores, len(encoders)))

    def __call__(self, texts: Sequence[str]) -> "PendingTexts":
        """Start encoding texts in the background. Cached texts are not encoded again."""
        unique = list(dict.fromkeys(map(normalise_text, texts)))
        with self._lock:
            cached = {text: self._cache[text] for text in unique if text in self._cache}
        new = [text for text in unique if text not in cached]
        jobs = {name: self._pool.submit(encoder.transform, new) for name, encoder in self._encoders.items() if new}
        return PendingTexts(unique, new, cached, jobs, self._store)

    def _store(self, texts: Mapping[str, dict[str, Vectors]]) -> None:
        with self._lock:
            for text, vectors in texts.items():
                self._cache.pop(text, None)
                self._cache[text] = vectors
            for oldest in list(islice(self._cache, max(0, len(self._cache) - _CACHE_SIZE))):
                del self._cache[oldest]


@dataclass(frozen=True)
class PendingTexts:
    """Texts that are being encoded in the background.

    Attributes:
        unique: normalised texts without repetitions.
        new: texts in `unique` that are not cached and must be encoded.
        cached: cached vectors: text -> encoder name -> vector (d,).
        jobs: encoder name -> future with the vectors of `new`.
        store: function that saves the vectors of all texts in the cache.
    """

    unique: list[str]
    new: list[str]
    cached: Mapping[str, dict[str, Vectors]]
    jobs: "Mapping[str, Future[Vectors]]"
    store: Callable[[Mapping[str, dict[str, Vectors]]], None]

    def vector(self, text: str, encoder: str) -> Vectors:
        """Wait for one encoder, and return the vector (1, d) that it computed for a text."""
        text = normalise_text(text)
        if text in self.cached:
            return self.cached[text][encoder][None]
        return self.jobs[encoder].result()[[self.new.index(text)]]

    def result(self) -> Texts:
        """Wait for all encoders, and return the unique texts with their vectors. The texts are also the IDs."""
        encoded = {name: job.result() for name, job in self.jobs.items()}
        new = {text: {name: vectors[row] for name, vectors in encoded.items()} for row, text in enumerate(self.new)}
        by_text = {**self.cached, **new}
        self.store({text: by_text[text] for text in self.unique})
        names = by_text[self.unique[0]] if self.unique else ()
        vectors = {name: np.stack([by_text[text][name] for text in self.unique]) for name in names}
        return Texts(self.unique, self.unique, vectors)


def _limit_cores(n_encoders: int) -> None:
    """Limit torch in this thread to an equal share of the CPU cores, if an encoder has loaded torch."""
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(max(1, available_cores() // n_encoders))


class ImageQueryEncoder:
    """Encode image files used in queries. The class is thread-safe.

    Args:
        loaders: encoder name -> function that loads the encoder. The function is called once, for the first image.
        limits: settings of the decoder.
    """

    def __init__(
        self, loaders: Mapping[str, Callable[[], ImageEmbedder]], limits: DecodingParams = DEFAULT_LIMITS
    ) -> None:
        self._loaders = loaders
        self._limits = limits
        self._loaded: dict[str, ImageEmbedder] = {}
        self._lock = threading.Lock()

    def __call__(self, content: bytes, encoders: Sequence[str]) -> dict[str, Vectors]:
        """Encode an image file.

        Args:
            content: bytes of the file.
            encoders: names of the encoders.

        Returns:
            Encoder name -> vector (1, d) of the image.

        Raises:
            UndecodableError: the file cannot be decoded.
            SearchError: an encoder is unknown.
        """
        return {name: self._encode(content, self._encoder(name)) for name in encoders}

    def _encode(self, content: bytes, encoder: ImageEmbedder) -> Vectors:
        from kadr.io.untrusted_images import decode_untrusted  # imports what starts and limits processes

        image = decode_untrusted(content, "query image", encoder.shorter_side, self._limits)
        return encoder.transform([image])

    def _encoder(self, name: str) -> ImageEmbedder:
        if name not in self._loaders:
            raise SearchError(
                f"params.yaml has no image encoder {name!r}. The index requires this encoder for queries with image "
                "files. Restore the encoder, or rebuild the index."
            )
        with self._lock:
            if name not in self._loaded:
                self._loaded[name] = self._loaders[name]()
            return self._loaded[name]
