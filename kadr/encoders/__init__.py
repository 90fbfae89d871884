"""The encoders part: photos and texts to unit vectors, whichever library holds the weights."""

from kadr.encoders.base import Identity, ImageEncoder, TextEncoder
from kadr.encoders.registry import fit_text_encoder, load_image_encoder, load_text_encoder

__all__ = [
    "Identity",
    "ImageEncoder",
    "TextEncoder",
    "fit_text_encoder",
    "load_image_encoder",
    "load_text_encoder",
]
