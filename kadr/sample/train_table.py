"""Create the rows of train_dataset.csv, and compute the true relevance of each pair."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kadr.sample.pair_sampling import PairMix, choose_captions, sample_pairs
from kadr.sample.simulated_raters import ExpertRatings, rate_by_crowd, rate_by_experts
from kadr.sample.split_images import RATINGS_SEED, SampleImage
from kadr.sample.true_relevance import true_relevance

EXPERT_PAIRS_PER_IMAGE = 5
CROWD_PAIRS_PER_IMAGE = 15
CROWD_SHARE_OF_EXPERT_PAIRS = 0.4


@dataclass(frozen=True)
class TrainRow:
    """One rated pair.

    Attributes:
        img_id: File name of the image.
        text: Caption.
        ratings: Ratings of the three experts, or None if the experts did not rate the pair.
        crowd: Share of yes votes from the crowd, or None if the crowd did not rate the pair.
    """

    img_id: str
    text: str
    ratings: ExpertRatings | None
    crowd: float | None


@dataclass(frozen=True)
class TrainTable:
    """The rows in file order, and the true relevance of each pair of img_id and text."""

    rows: tuple[TrainRow, ...]
    relevances: dict[tuple[str, str], float]


def make_train_table(images: Sequence[SampleImage], seed: int, required_images: Sequence[int] = ()) -> TrainTable:
    """Sample pairs of images and captions, and simulate their ratings.

    Args:
        images: Images of the train split.
        seed: Random seed of the sample.
        required_images: Indices of images that the experts must rate together with the images' own captions.
    """
    rng = np.random.default_rng((seed, RATINGS_SEED))
    captions, owners = choose_captions(images, rng)
    expert_mix = PairMix(EXPERT_PAIRS_PER_IMAGE * len(images), matching=0.14, similar=0.46)
    crowd_mix = PairMix(CROWD_PAIRS_PER_IMAGE * len(images), matching=0.03, similar=0.25)
    expert_pairs, crowd_pairs = sample_pairs(
        images, captions, owners, (expert_mix, crowd_mix), required_images=required_images, rng=rng
    )
    relevances: dict[tuple[str, str], float] = {}
    rows = []
    for pair, by_experts in [*((pair, True) for pair in expert_pairs), *((pair, False) for pair in crowd_pairs)]:
        image, caption = images[pair.image], captions[pair.caption]
        relevance = true_relevance(caption.meaning, image.scene)
        relevances[image.name, caption.text] = relevance
        rows.append(_rate_pair(image.name, caption.text, relevance, by_experts, rng))
    order = rng.permutation(len(rows))
    return TrainTable(tuple(rows[int(number)] for number in order), relevances)


def _rate_pair(img_id: str, text: str, relevance: float, by_experts: bool, rng: np.random.Generator) -> TrainRow:
    """Simulate the ratings of one pair.

    If `by_experts` is true, the experts rate the pair, and the crowd sometimes rates the pair as well. Otherwise, only
    the crowd rates the pair.
    """
    if not by_experts:
        return TrainRow(img_id, text, None, rate_by_crowd(relevance, rng))
    ratings = rate_by_experts(relevance, rng)
    crowd = rate_by_crowd(relevance, rng) if rng.random() < CROWD_SHARE_OF_EXPERT_PAIRS else None
    return TrainRow(img_id, text, ratings, crowd)
