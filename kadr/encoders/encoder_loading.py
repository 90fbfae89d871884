"""Load or fit an encoder with the backend that the settings name."""

from collections.abc import Sequence
from pathlib import Path

from kadr.encoders.base import ImageEncoder, TextEncoder
from kadr.io.image_decoding import DEFAULT_LIMITS
from kadr.params import IMAGE_ENCODERS, TEXT_ENCODERS, DecodingParams, EncoderParams, Precision


def load_image_encoder(
    params: EncoderParams, precision: Precision, decoding: DecodingParams = DEFAULT_LIMITS
) -> ImageEncoder:
    """Load an image encoder.

    Args:
        params: settings of the encoder.
        precision: numeric precision of the forward pass. `auto` selects the fastest format that is accurate enough.
        decoding: settings of the image decoder.

    Raises:
        EncoderError: the weights cannot be found or loaded.
    """
    backend: type[ImageEncoder] = IMAGE_ENCODERS.load(params.backend)
    encoder = backend.load(params, precision)
    encoder.use_decoding(decoding)
    return encoder


def fit_text_encoder(
    params: EncoderParams, precision: Precision, training_texts: Sequence[str], seed: int
) -> TextEncoder:
    """Fit a text encoder on training texts, or load a pretrained encoder.

    Args:
        params: settings of the encoder.
        precision: numeric precision of the forward pass. `auto` selects the fastest format that is accurate enough.
        training_texts: texts to fit the encoder on. Pretrained encoders ignore the training texts.
        seed: random seed for fitting.

    Raises:
        EncoderError: the weights cannot be found or loaded, or the encoder cannot be fitted.
    """
    backend: type[TextEncoder] = TEXT_ENCODERS.load(params.backend)
    return backend.fit(params, precision, training_texts, seed)


def load_text_encoder(params: EncoderParams, precision: Precision, folder: Path) -> TextEncoder:
    """Load a text encoder that the `embed_texts` stage saved.

    Args:
        params: settings of the encoder.
        precision: numeric precision of the forward pass. `auto` selects the fastest format that is accurate enough.
        folder: folder in which the `embed_texts` stage saved the encoder.

    Raises:
        EncoderError: the encoder cannot be loaded, or its weights have changed since the `embed_texts` stage ran.
    """
    backend: type[TextEncoder] = TEXT_ENCODERS.load(params.backend)
    return backend.load(params, precision, folder)
