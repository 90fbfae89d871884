"""The rows of train_dataset.csv, with what is true of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kadr.sample.pair_sampling import Mix, draw_pairs, rated_texts
from kadr.sample.simulated_raters import Rates, crowd_share, expert_rates
from kadr.sample.split_images import RATINGS_PART, Photo
from kadr.sample.truth import relevance

EXPERT_PAIRS_PER_PHOTO = 5
CROWD_PAIRS_PER_PHOTO = 15
CROWD_ON_EXPERT = 0.4


@dataclass(frozen=True)
class Row:
    """One rated pair; `rates` and `crowd` are None where nobody of that source rated it."""

    img_id: str
    text: str
    rates: Rates | None
    crowd: float | None


@dataclass(frozen=True)
class RatedTable:
    """The rows in file order and the truth of every pair in them."""

    rows: tuple[Row, ...]
    truth: dict[tuple[str, str], float]


def rate(photos: Sequence[Photo], seed: int, always: Sequence[int] = ()) -> RatedTable:
    """Draw the pairs of these photos and let raters rate them.

    Args:
        photos: Photos of the train part.
        seed: Seed of the sample.
        always: Numbers of photos that experts are sure to rate with their own texts.
    """
    rng = np.random.default_rng((seed, RATINGS_PART))
    texts, owners = rated_texts(photos, rng)
    expert = Mix(EXPERT_PAIRS_PER_PHOTO * len(photos), own=0.14, near=0.46)
    crowd = Mix(CROWD_PAIRS_PER_PHOTO * len(photos), own=0.03, near=0.25)
    by_experts, by_crowd = draw_pairs(photos, texts, owners, (expert, crowd), always=always, rng=rng)
    truth: dict[tuple[str, str], float] = {}
    rows = []
    for pair, by_expert in [*((pair, True) for pair in by_experts), *((pair, False) for pair in by_crowd)]:
        photo, text = photos[pair.photo], texts[pair.text]
        true = truth[photo.name, text.text] = relevance(text.statement, photo.scene)
        rows.append(_rated(photo.name, text.text, true, by_expert, rng))
    order = rng.permutation(len(rows))
    return RatedTable(tuple(rows[int(number)] for number in order), truth)


def _rated(img_id: str, text: str, true: float, by_expert: bool, rng: np.random.Generator) -> Row:
    """The pair's row: by experts and sometimes the crowd, or by the crowd alone."""
    if not by_expert:
        return Row(img_id, text, None, crowd_share(true, rng))
    rates = expert_rates(true, rng)
    return Row(img_id, text, rates, crowd_share(true, rng) if rng.random() < CROWD_ON_EXPERT else None)
