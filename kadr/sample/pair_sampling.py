"""Which (photo, text) pairs are rated: true matches, near misses and chance pairs, as in Flickr8k."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kadr.sample.captions import Caption
from kadr.sample.split_images import Photo
from kadr.sample.vocabulary import BACKGROUNDS, KINDS

TEXTS_PER_PHOTO = 7 / 6
_OWN, _NEAR, _FAR = 0, 1, 2
_KINDS = list(KINDS)


@dataclass(frozen=True)
class Pair:
    """A photo and a text that somebody rates, by their numbers."""

    photo: int
    text: int


@dataclass(frozen=True)
class Mix:
    """How many pairs to draw and which shares of them are a photo with its own text, and near misses."""

    n_pairs: int
    own: float
    near: float

    def counts(self) -> tuple[int, int, int]:
        """Pairs of own, near and chance kind."""
        own, near = round(self.n_pairs * self.own), round(self.n_pairs * self.near)
        return own, near, self.n_pairs - own - near


def rated_texts(photos: Sequence[Photo], rng: np.random.Generator) -> tuple[list[Caption], list[int]]:
    """About 7 distinct captions for every 6 photos, and the number of the photo that each was written for."""
    owners = list(range(len(photos)))
    extra = round(len(photos) * (TEXTS_PER_PHOTO - 1))
    owners += sorted(int(number) for number in rng.choice(len(photos), extra, replace=False))
    texts: dict[str, tuple[Caption, int]] = {}
    for owner in owners:
        for number in rng.permutation(len(photos[owner].captions)):
            caption = photos[owner].captions[int(number)]
            if caption.text not in texts:
                texts[caption.text] = (caption, owner)
                break
    return [caption for caption, _ in texts.values()], [owner for _, owner in texts.values()]


def draw_pairs(
    photos: Sequence[Photo],
    texts: Sequence[Caption],
    owners: Sequence[int],
    mixes: Sequence[Mix],
    *,
    always: Sequence[int],
    rng: np.random.Generator,
) -> list[list[Pair]]:
    """Draw distinct pairs for each mix in turn; fewer where there are no more.

    Args:
        photos: The photos that may be rated.
        texts: The texts that may be rated.
        owners: For each text, the number of the photo that it was written for.
        mixes: What to draw.
        always: Photos whose own texts are in the first mix whatever the lot says.
        rng: The lot.
    """
    likeness = _overlap(photos, texts)
    group = np.where(likeness > 0, _NEAR, _FAR)
    group[np.arange(len(texts)), owners] = _OWN
    order = np.log(np.maximum(likeness, 1e-3)) + rng.gumbel(size=likeness.shape)
    order[np.isin(owners, always), :] += 100.0 * (group[np.isin(owners, always), :] == _OWN)
    queues = [_ranked(order, group == number) for number in (_OWN, _NEAR, _FAR)]
    drawn = []
    for mix in mixes:
        pairs = []
        for queue, count in zip(queues, mix.counts(), strict=True):
            pairs += queue[:count]
            del queue[:count]
        drawn.append([pairs[int(number)] for number in rng.permutation(len(pairs))])
    return drawn


def _ranked(order: npt.NDArray[np.float64], mask: npt.NDArray[np.bool_]) -> list[Pair]:
    places = np.argwhere(mask)
    best = np.argsort(-order[mask], kind="stable")
    return [Pair(int(photo), int(text)) for text, photo in places[best]]


def _overlap(photos: Sequence[Photo], texts: Sequence[Caption]) -> npt.NDArray[np.float64]:
    """(n_texts, n_photos): how many kinds (twice) and backgrounds a text and a photo share."""
    has = np.zeros((len(photos), len(KINDS) + len(BACKGROUNDS)))
    says = np.zeros((len(texts), len(KINDS) + len(BACKGROUNDS)))
    for row, photo in zip(has, photos, strict=True):
        for kind, count in Counter(thing.kind for thing in photo.scene.things).items():
            row[_KINDS.index(kind)] = count
        row[len(KINDS) + BACKGROUNDS.index(photo.scene.background)] = 1
    for row, text in zip(says, texts, strict=True):
        for mention in text.statement.mentions:
            row[_KINDS.index(mention.kind)] = 2
        if text.statement.background is not None:
            row[len(KINDS) + BACKGROUNDS.index(text.statement.background)] = 0.5
    overlap: npt.NDArray[np.float64] = says @ has.T
    return overlap
