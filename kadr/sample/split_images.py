"""Create the scenes and captions of the sample images in one split."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from kadr.sample.caption_templates import SampleCaption, generate_captions
from kadr.sample.scene_graph import SceneGraph
from kadr.sample.scene_sampling import sample_scene
from kadr.sample.true_relevance import true_relevance

Split = Literal["train", "test", "corpus"]
Seed = tuple[int, ...]

SPLIT_SEEDS: dict[Split, int] = {"train": 0, "test": 1, "corpus": 2}
RATINGS_SEED = 3
_SCENE_SEED, _CAPTIONS_SEED, _RENDERING_SEED = 0, 1, 2
_FULLY_RELEVANT = 0.999


@dataclass(frozen=True)
class SampleImage:
    """A sample image that has not been rendered yet.

    Attributes:
        name: File name.
        scene: Scene that the image shows.
        captions: Captions of the image.
        rendering_seed: Random seed for rendering the image.
    """

    name: str
    scene: SceneGraph
    captions: tuple[SampleCaption, ...]
    rendering_seed: Seed


def make_image(seed: int, split: Split, number: int, attempt: int = 0) -> SampleImage:
    """Return one image of a split. The image does not depend on the other images.

    Args:
        seed: Random seed of the sample.
        split: Split that contains the image.
        number: Number of the image in its split, starting at 0.
        attempt: Number of candidates that were already rejected for this image.
    """
    base = (seed, SPLIT_SEEDS[split], number, attempt)
    scene = sample_scene(np.random.default_rng((*base, _SCENE_SEED)))
    captions = generate_captions(scene, np.random.default_rng((*base, _CAPTIONS_SEED)), full=split == "test")
    return SampleImage(f"{split}_{number:05d}.jpg", scene, captions, (*base, _RENDERING_SEED))


def make_images(seed: int, split: Split, n_images: int) -> list[SampleImage]:
    """Return the first `n_images` images of a split."""
    return [make_image(seed, split, number) for number in range(n_images)]


def make_distinct_images(seed: int, split: Split, n_images: int) -> list[SampleImage]:
    """Return images such that no caption of one image fully describes another image.

    Every caption has exactly one fully relevant image, so a search for the caption has one correct result.
    """
    images: list[SampleImage] = []
    for number in range(n_images):
        attempt = 0
        candidate = make_image(seed, split, number)
        while any(_is_ambiguous(candidate, image) for image in images):
            attempt += 1
            candidate = make_image(seed, split, number, attempt)
        images.append(candidate)
    return images


def _is_ambiguous(image: SampleImage, other: SampleImage) -> bool:
    return _describes(image, other) or _describes(other, image)


def _describes(image: SampleImage, other: SampleImage) -> bool:
    """Return whether any caption of `image` fully describes `other`."""
    return any(true_relevance(caption.meaning, other.scene) > _FULLY_RELEVANT for caption in image.captions)
