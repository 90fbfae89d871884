"""Encode the texts and images of queries, with a cache of text vectors."""

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
from kadr.io.image_decoding import MAX_PIXELS, decode_image
from kadr.io.texts import normalise_text

_CACHE_SIZE = 4096  # texts


class TextEmbedder(Protocol):
    """The methods of a text encoder that search uses."""

    def transform(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors of n texts: (n, d) float32, unit norm."""


class ImageEmbedder(Protocol):
    """The methods of an image encoder that search uses."""

    shorter_side: int | None

    def transform(self, images: Sequence[Image.Image]) -> Vectors:
        """Return the vectors of n RGB images: (n, d) float32, unit norm."""


class TextQueryEncoder:
    """Encodes texts with several encoders and caches the vectors of recent texts. Threads may share an instance.

    The encoders run in parallel, each with its share of the cores, because the forward pass of one text is too small to
    be divided.

    Args:
        encoders: encoder name -> text encoder.
    """

    def __init__(self, encoders: Mapping[str, TextEmbedder]) -> None:
        self._encoders = encoders
        self._cache: dict[str, dict[str, Vectors]] = {}  # most recently used last
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(max(1, len(encoders)), "text encoder", partial(_limit_cores, len(encoders)))

    def __call__(self, texts: Sequence[str]) -> "PendingTexts":
        """Start to encode texts. Cached texts are not encoded again."""
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
    """Texts that are being encoded.

    Attributes:
        unique: the unique texts, normalised.
        new: the texts that are encoded now.
        cached: text -> encoder name -> vector (d,) of the other texts.
        jobs: encoder name -> future vectors of the new texts.
        store: saves the vectors of all texts in the cache.
    """

    unique: list[str]
    new: list[str]
    cached: Mapping[str, dict[str, Vectors]]
    jobs: "Mapping[str, Future[Vectors]]"
    store: Callable[[Mapping[str, dict[str, Vectors]]], None]

    def vector(self, text: str, encoder: str) -> Vectors:
        """Return the vector (1, d) of one text as soon as this encoder is ready."""
        text = normalise_text(text)
        if text in self.cached:
            return self.cached[text][encoder][None]
        return self.jobs[encoder].result()[[self.new.index(text)]]

    def result(self) -> Texts:
        """Wait for all encoders, and return the unique texts with their vectors. The ID of a text is the text."""
        encoded = {name: job.result() for name, job in self.jobs.items()}
        new = {text: {name: vectors[row] for name, vectors in encoded.items()} for row, text in enumerate(self.new)}
        by_text = {**self.cached, **new}
        self.store({text: by_text[text] for text in self.unique})
        names = by_text[self.unique[0]] if self.unique else ()
        vectors = {name: np.stack([by_text[text][name] for text in self.unique]) for name in names}
        return Texts(self.unique, self.unique, vectors)


def _limit_cores(n_encoders: int) -> None:
    """Limit torch in this thread to its share of the cores, if an encoder has loaded torch."""
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(max(1, available_cores() // n_encoders))


class ImageQueryEncoder:
    """Encodes image files that the index may not contain. Threads may share an instance.

    Args:
        loaders: encoder name -> function that loads the encoder. The function is called once, at the first image.
        max_pixels: maximum width times height of an image.
    """

    def __init__(self, loaders: Mapping[str, Callable[[], ImageEmbedder]], max_pixels: int = MAX_PIXELS) -> None:
        self._loaders = loaders
        self._max_pixels = max_pixels
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
        image = decode_image(content, "query image", encoder.shorter_side, max_pixels=self._max_pixels)
        return encoder.transform([image])

    def _encoder(self, name: str) -> ImageEmbedder:
        if name not in self._loaders:
            raise SearchError(
                f"params.yaml has no image encoder {name!r}, so only images of the index can be query images. Restore "
                "the encoder, or build the index again."
            )
        with self._lock:
            if name not in self._loaded:
                self._loaded[name] = self._loaders[name]()
            return self._loaded[name]
