"""The photos of one part of the sample: what each shows and what people wrote of it."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from kadr.sample.captions import Caption, captions_of
from kadr.sample.composition import draw_scene
from kadr.sample.scene import Scene
from kadr.sample.truth import relevance

Part = Literal["train", "test", "corpus"]
Seed = tuple[int, ...]

PARTS: dict[Part, int] = {"train": 0, "test": 1, "corpus": 2}
RATINGS_PART = 3
_SCENE, _CAPTIONS, _PICTURE = 0, 1, 2


@dataclass(frozen=True)
class Photo:
    """A photo before it is drawn: its file name, its scene, its captions and the seed of its looks."""

    name: str
    scene: Scene
    captions: tuple[Caption, ...]
    picture_seed: Seed


def photo(seed: int, part: Part, number: int, attempt: int = 0) -> Photo:
    """Photo `number` of a part; it depends on no other photo."""
    base = (seed, PARTS[part], number, attempt)
    scene = draw_scene(np.random.default_rng((*base, _SCENE)))
    captions = captions_of(scene, np.random.default_rng((*base, _CAPTIONS)), full=part == "test")
    return Photo(f"{part}_{number:05d}.jpg", scene, captions, (*base, _PICTURE))


def album(seed: int, part: Part, n_photos: int) -> list[Photo]:
    """The first `n_photos` photos of a part."""
    return [photo(seed, part, number) for number in range(n_photos)]


def distinct_album(seed: int, part: Part, n_photos: int) -> list[Photo]:
    """As `album`, but no photo's caption is wholly true of another: a search has one right answer."""
    chosen: list[Photo] = []
    for number in range(n_photos):
        attempt = 0
        candidate = photo(seed, part, number)
        while any(_told_alike(candidate, other) for other in chosen):
            attempt += 1
            candidate = photo(seed, part, number, attempt)
        chosen.append(candidate)
    return chosen


def _told_alike(one: Photo, other: Photo) -> bool:
    return _describes(one, other) or _describes(other, one)


def _describes(one: Photo, other: Photo) -> bool:
    return any(relevance(caption.statement, other.scene) > 0.999 for caption in one.captions)
