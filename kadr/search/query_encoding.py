"""The search's encoding of what people ask: texts remembered, photos from anywhere, encoders loaded when needed."""

import io
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

from kadr.encoders.torch_models import cores
from kadr.errors import InputError, SearchError, UndecodableError
from kadr.features import Texts
from kadr.io.embeddings import Vectors
from kadr.io.image_decoding import FORMATS, decode
from kadr.io.texts import normalise_text

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
    """The vectors of texts by several encoders; those of the newest texts are remembered. Threads may share it.

    The encoders work side by side, each on its share of the cores: one text's forward pass is too small to be split.
    """

    def __init__(self, encoders: Mapping[str, TextEncoder]) -> None:
        self._encoders = encoders
        self._known: dict[str, dict[str, Vectors]] = {}  # the newest stand last
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(max(1, len(encoders)), "text encoder", partial(_use_cores, len(encoders)))

    def __call__(self, texts: Sequence[str]) -> "Encoding":
        """Begin to encode the texts; what is known already is not encoded again."""
        wanted = list(dict.fromkeys(map(normalise_text, texts)))
        with self._lock:
            known = {text: self._known[text] for text in wanted if text in self._known}
        new = [text for text in wanted if text not in known]
        jobs = {name: self._pool.submit(encoder.transform, new) for name, encoder in self._encoders.items() if new}
        return Encoding(wanted, new, known, jobs, self._remember)

    def _remember(self, texts: Mapping[str, dict[str, Vectors]]) -> None:
        with self._lock:
            for text, vectors in texts.items():
                self._known.pop(text, None)
                self._known[text] = vectors
            for oldest in list(islice(self._known, max(0, len(self._known) - _REMEMBERED))):
                del self._known[oldest]


@dataclass(frozen=True)
class Encoding:
    """Texts whose vectors may still be on their way.

    Attributes:
        wanted: the distinct texts, as `normalise` has them.
        new: those of them that are encoded now.
        known: text -> encoder name -> vector (d,) of the others.
        jobs: encoder name -> vectors of the new texts to come.
        remember: is told all vectors once they are there.
    """

    wanted: list[str]
    new: list[str]
    known: Mapping[str, dict[str, Vectors]]
    jobs: "Mapping[str, Future[Vectors]]"
    remember: Callable[[Mapping[str, dict[str, Vectors]]], None]

    def vector(self, text: str, encoder: str) -> Vectors:
        """The (1, d) vector of one of the texts, as soon as this encoder is done."""
        text = normalise_text(text)
        if text in self.known:
            return self.known[text][encoder][None]
        return self.jobs[encoder].result()[[self.new.index(text)]]

    def all(self) -> Texts:
        """The distinct texts, each its own id, with their vectors by all encoders."""
        encoded = {name: job.result() for name, job in self.jobs.items()}
        known = {
            **self.known,
            **{text: {name: of[at] for name, of in encoded.items()} for at, text in enumerate(self.new)},
        }
        self.remember({text: known[text] for text in self.wanted})
        names = known[self.wanted[0]] if self.wanted else ()
        vectors = {name: np.stack([known[text][name] for text in self.wanted]) for name in names}
        return Texts(self.wanted, self.wanted, vectors)


def _use_cores(n_encoders: int) -> None:
    """Have this thread's torch, where an encoder has loaded it, use its share of the cores."""
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(max(1, cores() // n_encoders))


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
