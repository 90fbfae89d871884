"""Score image-text pairs from image files and texts, without the tables and caches of the project."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from kadr.embed.reader import map_in_threads
from kadr.encoders import ImageEncoder, TextEncoder, load_image_encoder, load_text_encoder
from kadr.encoders.base import Pixels
from kadr.errors import EncoderError, InputError
from kadr.features import Images, Texts
from kadr.io.embeddings import Rows, Vectors
from kadr.io.image_decoding import DEFAULT_LIMITS, decode_image
from kadr.io.storage import read_bytes
from kadr.io.texts import normalise_text
from kadr.model import RelevanceModel
from kadr.params import DecodingParams, EmbedImagesParams, EmbedTextsParams

IMAGE_COLUMN = "photo"
"""Input column with the path or URI of an image."""

IMAGE_BYTES_COLUMN = "photo_bytes"
"""Input column with the bytes of an image file, as an alternative to its path."""

TEXT_COLUMN = "text"
"""Input column with the text."""

RELEVANCE_COLUMN = "relevance"
"""Output column with the predicted relevance, 0 to 1."""

PairScores = np.ndarray[tuple[int], np.dtype[np.float64]]
ImageSource = str | bytes
"""Path or URI of an image file, or the bytes of the file."""

Item = TypeVar("Item", str, ImageSource)
_BATCH_SIZE = 16
_MAX_THREADS = 8


@dataclass(frozen=True)
class Scorer:
    """Predicts the relevance of image-text pairs.

    Attributes:
        images: image encoders, by name.
        texts: text encoders, by name.
        model: relevance model that was trained on the embeddings from these encoders.
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
        *,
        decoding: DecodingParams = DEFAULT_LIMITS,
    ) -> "Scorer":
        """Load a relevance model and its encoders.

        Args:
            images: settings of the image encoders.
            texts: settings of the text encoders.
            text_encoders: output folder of the `embed_texts` stage, with one subfolder per text encoder.
            model: folder of the relevance model.
            identities: metadata of the embeddings that the model was trained on, by image encoder name.
            decoding: settings of the image decoder.

        Raises:
            EncoderError: an encoder cannot be loaded, or an image encoder differs from the encoder used for training.
            ModelError: the model is missing or damaged.
        """
        image_encoders = {
            name: load_image_encoder(spec, images.precision, decoding) for name, spec in images.encoders.items()
        }
        for name, encoder in image_encoders.items():
            _check_identity(name, encoder, identities[name])
        return cls(
            image_encoders,
            {
                name: load_text_encoder(spec, texts.precision, text_encoders / name)
                for name, spec in texts.encoders.items()
            },
            RelevanceModel.load(model),
        )

    def score(self, images: Sequence[ImageSource], texts: Sequence[str]) -> PairScores:
        """Predict the relevance of n image-text pairs. Identical images and texts are embedded only once.

        Args:
            images: n images, one per pair. Each image is a path, a URI or the content of an image file.
            texts: n texts, one per pair.

        Returns:
            Predicted relevance of each pair, 0 to 1: (n,) float64.

        Raises:
            InputError: an image cannot be read or decoded, or a text is empty.
        """
        if not len(images):
            return np.empty(0, dtype=np.float64)
        for row, text in enumerate(texts):
            if not text.strip():
                raise InputError(f"Row {row}: the text is empty. Enter a text in the column `{TEXT_COLUMN}`.")
        distinct_images, image_rows = _distinct(images)
        distinct_texts, text_rows = _distinct([normalise_text(text) for text in texts])
        image_vectors = {name: _embed(encoder, distinct_images) for name, encoder in self.images.items()}
        text_vectors = {name: encoder.transform(distinct_texts) for name, encoder in self.texts.items()}
        ids = [str(row) for row in range(len(distinct_images))]
        return self.model.predict(
            Images(ids, image_vectors), Texts(distinct_texts, distinct_texts, text_vectors), image_rows, text_rows
        )


def _check_identity(name: str, encoder: ImageEncoder, trained: Mapping[str, str]) -> None:
    """Raise EncoderError if an image encoder differs from the encoder used to train the model."""
    for field in ("architecture", "weights_sha256", "preprocessing"):
        if getattr(encoder.identity, field) != trained.get(field):
            raise EncoderError(
                f"Image encoder {name!r} ({encoder.identity.encoder}) has a different {field} than the encoder used "
                "for training. Restore the original weights, or run `dvc repro` to retrain with the new weights."
            )


def _distinct(items: Sequence[Item]) -> tuple[list[Item], Rows]:
    """Return the distinct items in the order of first occurrence, and the index of each item among them."""
    rows = {item: row for row, item in enumerate(dict.fromkeys(items))}
    return list(rows), np.fromiter((rows[item] for item in items), dtype=np.int64, count=len(items))


def _embed(encoder: ImageEncoder, images: Sequence[ImageSource]) -> Vectors:
    """Embed n images as unit vectors: (n, d) float32. Background threads decode the next images in advance."""

    def preprocess(image: ImageSource) -> Pixels:
        return encoder.preprocess(
            decode_image(_read(image), _display_name(image), encoder.shorter_side, limits=encoder.decoding)
        )

    threads = min(_MAX_THREADS, os.cpu_count() or 1)
    preprocessed = map_in_threads(preprocess, images, threads, 2 * _BATCH_SIZE)
    batches = (range(start, min(start + _BATCH_SIZE, len(images))) for start in range(0, len(images), _BATCH_SIZE))
    return np.concatenate([encoder.encode([next(preprocessed) for _ in batch]) for batch in batches])


def _read(image: ImageSource) -> bytes:
    if isinstance(image, bytes):
        return image
    try:
        return read_bytes(image)
    except OSError as error:
        raise InputError(f"{image}: the image cannot be read ({error.strerror or error}). Check the path.") from error


def _display_name(image: ImageSource) -> str:
    return image if isinstance(image, str) else f"image of {len(image):,} bytes"
