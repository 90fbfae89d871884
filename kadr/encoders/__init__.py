"""The encoders part: photos and texts to unit vectors, whichever library holds the weights."""

from kadr.encoders.backends import fit_text_encoder, load_image_encoder, load_text_encoder
from kadr.encoders.base import Identity, ImageEncoder, TextEncoder

__all__ = [
    "Identity",
    "ImageEncoder",
    "TextEncoder",
    "fit_text_encoder",
    "load_image_encoder",
    "load_text_encoder",
]
