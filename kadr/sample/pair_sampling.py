"""Choose the (image, caption) pairs to rate: matching, similar and unrelated pairs, as in Flickr8k."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kadr.sample.caption_templates import SampleCaption
from kadr.sample.scene_vocabulary import BACKGROUNDS, OBJECT_CATEGORIES
from kadr.sample.split_images import SampleImage

CAPTIONS_PER_RATED_IMAGE = 7 / 6
_MATCHING, _SIMILAR, _UNRELATED = 0, 1, 2
_CATEGORIES = list(OBJECT_CATEGORIES)


@dataclass(frozen=True)
class SampledPair:
    """A sampled pair: the index of an image and the index of a caption."""

    image: int
    caption: int


@dataclass(frozen=True)
class PairMix:
    """Number of pairs to sample, and the shares of matching and similar pairs.

    Attributes:
        n_pairs: Number of pairs.
        matching: Share of pairs that consist of an image and one of its own captions.
        similar: Share of pairs whose image and caption do not match, but share an object category or the background.
    """

    n_pairs: int
    matching: float
    similar: float

    def counts(self) -> tuple[int, int, int]:
        """Return the numbers of matching, similar and unrelated pairs."""
        matching, similar = round(self.n_pairs * self.matching), round(self.n_pairs * self.similar)
        return matching, similar, self.n_pairs - matching - similar


def choose_captions(images: Sequence[SampleImage], rng: np.random.Generator) -> tuple[list[SampleCaption], list[int]]:
    """Choose about 7 distinct captions for every 6 images.

    Returns:
        The chosen captions, and the index of each caption's image in `images`.
    """
    owners = list(range(len(images)))
    n_extra = round(len(images) * (CAPTIONS_PER_RATED_IMAGE - 1))
    owners += sorted(int(number) for number in rng.choice(len(images), n_extra, replace=False))
    captions: dict[str, tuple[SampleCaption, int]] = {}
    for owner in owners:
        for number in rng.permutation(len(images[owner].captions)):
            caption = images[owner].captions[int(number)]
            if caption.text not in captions:
                captions[caption.text] = (caption, owner)
                break
    return [caption for caption, _ in captions.values()], [owner for _, owner in captions.values()]


def sample_pairs(
    images: Sequence[SampleImage],
    captions: Sequence[SampleCaption],
    owners: Sequence[int],
    mixes: Sequence[PairMix],
    *,
    required_images: Sequence[int],
    rng: np.random.Generator,
) -> list[list[SampledPair]]:
    """Sample distinct pairs for each mix. If too few pairs are available, the list of pairs is shorter.

    Args:
        images: Images to rate.
        captions: Captions to rate.
        owners: Index of each caption's image in `images`.
        mixes: Number and shares of pairs in each list of pairs.
        required_images: Indices of the images that must be paired with their own captions in the first list.
        rng: Random number generator.

    Returns:
        One list of pairs for each mix.
    """
    overlap = _content_overlap(images, captions)
    group = np.where(overlap > 0, _SIMILAR, _UNRELATED)
    group[np.arange(len(captions)), owners] = _MATCHING
    priority = np.log(np.maximum(overlap, 1e-3)) + rng.gumbel(size=overlap.shape)
    required = np.isin(owners, required_images)
    priority[required, :] += 100.0 * (group[required, :] == _MATCHING)
    queues = [_sort_pairs(priority, group == number) for number in (_MATCHING, _SIMILAR, _UNRELATED)]
    samples = []
    for mix in mixes:
        pairs = []
        for queue, count in zip(queues, mix.counts(), strict=True):
            pairs += queue[:count]
            del queue[:count]
        samples.append([pairs[int(number)] for number in rng.permutation(len(pairs))])
    return samples


def _sort_pairs(priority: npt.NDArray[np.float64], mask: npt.NDArray[np.bool_]) -> list[SampledPair]:
    """Return the pairs selected by the mask, in order of descending priority."""
    pairs = np.argwhere(mask)
    order = np.argsort(-priority[mask], kind="stable")
    return [SampledPair(int(image), int(caption)) for caption, image in pairs[order]]


def _content_overlap(images: Sequence[SampleImage], captions: Sequence[SampleCaption]) -> npt.NDArray[np.float64]:
    """Return the content overlap of each caption and image as an array of shape (n_captions, n_images).

    Each shared object category has a weight of 2. A shared background has a weight of 0.5.
    """
    n_columns = len(_CATEGORIES) + len(BACKGROUNDS)
    image_content = np.zeros((len(images), n_columns))
    caption_content = np.zeros((len(captions), n_columns))
    for row, image in zip(image_content, images, strict=True):
        for category, count in Counter(scene_object.category for scene_object in image.scene.objects).items():
            row[_CATEGORIES.index(category)] = count
        row[len(_CATEGORIES) + BACKGROUNDS.index(image.scene.background)] = 1
    for row, caption in zip(caption_content, captions, strict=True):
        for mention in caption.meaning.mentions:
            row[_CATEGORIES.index(mention.category)] = 2
        if caption.meaning.background is not None:
            row[len(_CATEGORIES) + BACKGROUNDS.index(caption.meaning.background)] = 0.5
    overlap: npt.NDArray[np.float64] = caption_content @ image_content.T
    return overlap
