"""Encoders: images and texts to unit vectors, by any library that a backend supports."""

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
