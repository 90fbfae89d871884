"""The encoders by their backend: a new kind of encoder is a class and one entry here."""

from collections.abc import Callable, Sequence
from pathlib import Path

from kadr.encoders.base import ImageEncoder, TextEncoder
from kadr.encoders.open_clip import OpenClipImageEncoder, OpenClipTextEncoder
from kadr.encoders.sentence_transformers import SentenceEncoder
from kadr.encoders.tfidf import TfidfEncoder
from kadr.encoders.timm import TimmImageEncoder
from kadr.params import ImageEncoderParams, Precision, TextEncoderParams

IMAGE_BACKENDS: dict[str, Callable[..., ImageEncoder]] = {
    "open_clip": OpenClipImageEncoder,
    "timm": TimmImageEncoder,
}
TEXT_BACKENDS: dict[str, type[TextEncoder]] = {
    "open_clip": OpenClipTextEncoder,
    "sentence_transformers": SentenceEncoder,
    "tfidf": TfidfEncoder,
}


def load_image_encoder(spec: ImageEncoderParams, precision: Precision) -> ImageEncoder:
    """The image encoder that `spec` names. Raises EncoderError where it cannot be loaded."""
    return IMAGE_BACKENDS[spec.backend](spec, precision)


def fit_text_encoder(
    spec: TextEncoderParams, precision: Precision, training_texts: Sequence[str], seed: int
) -> TextEncoder:
    """The text encoder that `spec` names, fitted on `training_texts` where it is of a kind to be fitted.

    Raises:
        EncoderError: where it cannot be loaded or fitted.
    """
    return TEXT_BACKENDS[spec.backend].fit(spec, precision, training_texts, seed)


def load_text_encoder(spec: TextEncoderParams, precision: Precision, folder: Path) -> TextEncoder:
    """The text encoder that embed_texts used and saved to `folder`, for texts to come.

    Raises:
        EncoderError: where it cannot be loaded, or its weights are not those of embed_texts any more.
    """
    return TEXT_BACKENDS[spec.backend].load(spec, precision, folder)
