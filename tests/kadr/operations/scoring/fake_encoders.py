"""Fake encoders that map an image to its mean colour and a text to the colour that the text names."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from kadr.encoders import Identity, ImageEncoder

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}


class ColourImageEncoder(ImageEncoder):
    """Encodes an image as its mean colour, and records the size of each batch."""

    identity = Identity("colours", "a", "b", "c", "fp32")
    dim = 3
    shorter_side = 8

    def __init__(self) -> None:
        self.batch_sizes: list[int] = []

    def preprocess(self, image: Image.Image) -> np.ndarray:
        return np.asarray(image, dtype=np.float32).mean(axis=(0, 1)).reshape(3, 1, 1)

    def encode(self, images: Sequence[np.ndarray]) -> np.ndarray:
        self.batch_sizes.append(len(images))
        vectors = np.stack(images).reshape(-1, 3)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


class ColourNameEncoder:
    """Encodes the name of a colour as that colour."""

    identity = Identity("colour names", "a", "b", "c", "fp32")
    dim = 3

    def transform(self, texts: Sequence[str]) -> np.ndarray:
        return np.array([COLOURS[text] for text in texts], dtype=np.float32).reshape(-1, 3) / 255
