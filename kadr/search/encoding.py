"""The search's encoding of what people ask: texts remembered, photos from anywhere, encoders loaded when needed."""

import io
import threading
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Protocol

import numpy as np
from PIL import Image

from kadr.embeddings import Vectors
from kadr.errors import InputError, SearchError, UndecodableError
from kadr.features import Texts
from kadr.photos import FORMATS, decode
from kadr.texts import normalise

_REMEMBERED = 4096  # texts


class TextEncoder(Protocol):
    """What search needs of a text encoder."""

    def transform(self, texts: Sequence[str]) -> Vectors:
        """Vectors of n texts: (n, d) float32, unit norm."""


class ImageEncoder(Protocol):
    """What search needs of an image encoder."""

    side: int | None

    def transform(self, images: Sequence[Image.Image]) -> Vectors:
        """Vectors of n photos in RGB: (n, d) float32, unit norm."""


class TextVectors:
    """The vectors of texts by several encoders; those of the newest texts are remembered. Threads may share it."""

    def __init__(self, encoders: Mapping[str, TextEncoder]) -> None:
        self._encoders = encoders
        self._known: dict[str, dict[str, Vectors]] = {}  # the newest stand last
        self._lock = threading.Lock()

    def __call__(self, texts: Sequence[str]) -> Texts:
        """The distinct texts, as `normalise` has them, each its own id, with their vectors."""
        wanted = list(dict.fromkeys(map(normalise, texts)))
        with self._lock:
            known = {text: self._known[text] for text in wanted if text in self._known}
        if new := [text for text in wanted if text not in known]:
            encoded = {name: encoder.transform(new) for name, encoder in self._encoders.items()}
            known |= {text: {name: of[at] for name, of in encoded.items()} for at, text in enumerate(new)}
        self._remember({text: known[text] for text in wanted})
        vectors = {name: np.stack([known[text][name] for text in wanted]) for name in self._encoders if wanted}
        return Texts(wanted, wanted, vectors)

    def _remember(self, texts: Mapping[str, dict[str, Vectors]]) -> None:
        with self._lock:
            for text, vectors in texts.items():
                self._known.pop(text, None)
                self._known[text] = vectors
            for oldest in list(islice(self._known, max(0, len(self._known) - _REMEMBERED))):
                del self._known[oldest]


class PhotoVectors:
    """The vectors of photos that need not be in the index. Threads may share it.

    Args:
        load: encoder name -> loads the encoder; called once, when a photo first needs it.
    """

    def __init__(self, load: Mapping[str, Callable[[], ImageEncoder]]) -> None:
        self._load = load
        self._loaded: dict[str, ImageEncoder] = {}
        self._lock = threading.Lock()

    def __call__(self, content: bytes, encoders: Sequence[str]) -> dict[str, Vectors]:
        """Encoder name -> (1, d) vector of the photo whose file has these bytes.

        Raises:
            InputError: the bytes are no photo that can be decoded.
            SearchError: an encoder is not known.
        """
        return {name: self._encoder(name).transform([self._decode(content, name)]) for name in encoders}

    def _encoder(self, name: str) -> ImageEncoder:
        if name not in self._load:
            raise SearchError(f"there is no photo encoder {name!r}, so only photos of the index can be asked by")
        with self._lock:
            if name not in self._loaded:
                self._loaded[name] = self._load[name]()
            return self._loaded[name]

    def _decode(self, content: bytes, name: str) -> Image.Image:
        try:
            Image.open(io.BytesIO(content), formats=FORMATS).close()
        except Image.DecompressionBombError as error:
            raise UndecodableError(f"the photo is too large to decode ({error})", "too_large") from error
        except (OSError, SyntaxError, ValueError) as error:
            raise InputError(f"this is no photo in one of the formats {', '.join(FORMATS)}") from error
        return decode(content, "the photo", self._encoder(name).side)
