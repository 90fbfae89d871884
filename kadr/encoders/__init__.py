"""Encoders turn images and texts into unit vectors. Each backend wraps one machine-learning library."""

from kadr.encoders.base import Identity, ImageEncoder, TextEncoder
from kadr.encoders.encoder_loading import fit_text_encoder, load_image_encoder, load_text_encoder

__all__ = [
    "Identity",
    "ImageEncoder",
    "TextEncoder",
    "fit_text_encoder",
    "load_image_encoder",
    "load_text_encoder",
]
