"""The library room's scorer: the relevance of photos and texts from their own content, with no table and no cache."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from kadr.embed.reader import in_threads
from kadr.encoders import ImageEncoder, TextEncoder, load_image_encoder, load_text_encoder
from kadr.encoders.base import Pixels
from kadr.errors import EncoderError, InputError
from kadr.features import Images, Texts
from kadr.io.embeddings import Rows, Vectors
from kadr.io.image_decoding import decode
from kadr.io.storage import read_bytes
from kadr.io.texts import normalise_text
from kadr.model import RelevanceModel
from kadr.params import EmbedImagesParams, EmbedTextsParams

PHOTO, PHOTO_BYTES, TEXT, PREDICTED = "photo", "photo_bytes", "text", "relevance"
"""Columns of a table of pairs to score: a photo's path or URI, or else its file's bytes; the text; what comes out."""

Scores = np.ndarray[tuple[int], np.dtype[np.float64]]
Content = str | bytes
"""A photo: its path or URI, or the bytes of its file."""

Item = TypeVar("Item", str, Content)
_BATCH = 16
_MAX_THREADS = 8


@dataclass(frozen=True)
class Scorer:
    """Predicts the relevance of any photo and text.

    Attributes:
        images: name -> image encoder, those that the model was trained with.
        texts: name -> text encoder, likewise.
        model: the relevance model.
    """

    images: Mapping[str, ImageEncoder]
    texts: Mapping[str, TextEncoder]
    model: RelevanceModel

    @classmethod
    def load(
        cls,
        images: EmbedImagesParams,
        texts: EmbedTextsParams,
        text_encoders: Path,
        model: Path,
        identities: Mapping[str, Mapping[str, str]],
    ) -> "Scorer":
        """Load what the stages left.

        Args:
            images: the image encoders.
            texts: the text encoders.
            text_encoders: where stage embed_texts wrote, a folder for each encoder.
            model: where stage train wrote.
            identities: image encoder -> the metadata of the vectors that the model was trained on.

        Raises:
            EncoderError: an encoder cannot be loaded, or its weights are not those of the training.
            ModelError: the model is missing or damaged.
        """
        loaded = {name: load_image_encoder(spec, images.precision) for name, spec in images.encoders.items()}
        for name, encoder in loaded.items():
            _check_same(name, encoder, identities[name])
        return cls(
            loaded,
            {
                name: load_text_encoder(spec, texts.precision, text_encoders / name)
                for name, spec in texts.encoders.items()
            },
            RelevanceModel.load(model),
        )

    def score(self, photos: Sequence[Content], texts: Sequence[str]) -> Scores:
        """Relevance of n pairs (`photos[i]`, `texts[i]`): (n,) float64 in 0..1. A photo or text is embedded once.

        Raises:
            InputError: a photo cannot be read or decoded; a text is empty.
        """
        if not len(photos):
            return np.empty(0, dtype=np.float64)
        for row, text in enumerate(texts):
            if not text.strip():
                raise InputError(f"row {row}: the text is empty; say what the photo shows")
        distinct_photos, image_rows = _distinct(photos)
        distinct_texts, text_rows = _distinct([normalise_text(text) for text in texts])
        images = {name: _embed(encoder, distinct_photos) for name, encoder in self.images.items()}
        words = {name: encoder.transform(distinct_texts) for name, encoder in self.texts.items()}
        ids = [str(row) for row in range(len(distinct_photos))]
        return self.model.predict(
            Images(ids, images), Texts(distinct_texts, distinct_texts, words), image_rows, text_rows
        )


def _check_same(name: str, encoder: ImageEncoder, trained: Mapping[str, str]) -> None:
    for field in ("architecture", "weights_sha256", "preprocessing"):
        if getattr(encoder.identity, field) != trained.get(field):
            raise EncoderError(
                f"image encoder {name!r} ({encoder.identity.encoder}) has another {field} than the one that the model "
                "was trained with; give it those weights, or train anew with these (`dvc repro`)"
            )


def _distinct(items: Sequence[Item]) -> tuple[list[Item], Rows]:
    """The distinct items in the order of their first place, and the row of each item among them."""
    row_of = {item: row for row, item in enumerate(dict.fromkeys(items))}
    return list(row_of), np.fromiter((row_of[item] for item in items), dtype=np.int64, count=len(items))


def _embed(encoder: ImageEncoder, photos: Sequence[Content]) -> Vectors:
    """(n, d) float32, unit norm, of n photos; decoded in threads, a few batches of them in memory at once."""

    def prepare(photo: Content) -> Pixels:
        return encoder.prepare(decode(_read(photo), _name(photo), encoder.side))

    threads = min(_MAX_THREADS, os.cpu_count() or 1)
    prepared = in_threads(prepare, photos, threads, 2 * _BATCH)
    batches = (range(at, min(at + _BATCH, len(photos))) for at in range(0, len(photos), _BATCH))
    return np.concatenate([encoder.encode([next(prepared) for _ in batch]) for batch in batches])


def _read(photo: Content) -> bytes:
    if isinstance(photo, bytes):
        return photo
    try:
        return read_bytes(photo)
    except OSError as error:
        raise InputError(f"{photo}: the photo cannot be read ({error.strerror or error}); mend its path") from error


def _name(photo: Content) -> str:
    return photo if isinstance(photo, str) else f"a photo of {len(photo):,} bytes"
