"""Load or fit an encoder with the backend that its settings name."""

from collections.abc import Sequence
from pathlib import Path

from kadr.encoders.base import ImageEncoder, TextEncoder
from kadr.params import IMAGE_ENCODERS, TEXT_ENCODERS, EncoderParams, Precision


def load_image_encoder(params: EncoderParams, precision: Precision) -> ImageEncoder:
    """Load an image encoder.

    Args:
        params: settings of the encoder.
        precision: precision of the forward pass. `auto` selects the fastest accurate one for the device.

    Raises:
        EncoderError: the weights cannot be found or loaded.
    """
    backend: type[ImageEncoder] = IMAGE_ENCODERS.load(params.backend)
    return backend.load(params, precision)


def fit_text_encoder(
    params: EncoderParams, precision: Precision, training_texts: Sequence[str], seed: int
) -> TextEncoder:
    """Fit a text encoder on the training texts. Pretrained encoders are only loaded.

    Args:
        params: settings of the encoder.
        precision: precision of the forward pass. `auto` selects the fastest accurate one for the device.
        training_texts: texts of the train split.
        seed: random seed of the fit.

    Raises:
        EncoderError: the weights cannot be found or loaded, or the encoder cannot be fitted.
    """
    backend: type[TextEncoder] = TEXT_ENCODERS.load(params.backend)
    return backend.fit(params, precision, training_texts, seed)


def load_text_encoder(params: EncoderParams, precision: Precision, folder: Path) -> TextEncoder:
    """Load the text encoder that stage embed_texts saved.

    Args:
        params: settings of the encoder.
        precision: precision of the forward pass. `auto` selects the fastest accurate one for the device.
        folder: folder that the stage wrote.

    Raises:
        EncoderError: the encoder cannot be loaded, or its weights have changed since the stage ran.
    """
    backend: type[TextEncoder] = TEXT_ENCODERS.load(params.backend)
    return backend.load(params, precision, folder)
