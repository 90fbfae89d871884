"""Simulated raters: three experts with different biases, and a crowd that rarely votes yes."""

from dataclasses import dataclass

import numpy as np

ExpertRatings = tuple[int, int, int]


@dataclass(frozen=True)
class SimulatedExpert:
    """An expert who rates pairs from 1 to 4.

    Attributes:
        bias: Mean deviation from the true relevance, in rating steps.
        noise: Standard deviation of the ratings, in rating steps.
        careless: Share of pairs that the expert rates at random.
    """

    bias: float
    noise: float
    careless: float = 0.0


EXPERTS = (
    SimulatedExpert(-0.15, 0.35),
    SimulatedExpert(0.35, 0.40),
    SimulatedExpert(0.05, 0.55, careless=0.25),
)
"""The strict, lenient and careless experts, whose ratings are in the columns `rate_1`, `rate_2` and `rate_3`."""

_VOTE_COUNTS = (3, 4, 5)
_VOTE_COUNT_SHARES = (0.9, 0.06, 0.04)
_YES_THRESHOLD, _YES_STEEPNESS, _ERROR_RATE = 0.84, 16.0, 0.012


def rate_by_experts(relevance: float, rng: np.random.Generator) -> ExpertRatings:
    """Return the ratings of the three experts, from 1 (caption does not match) to 4 (caption matches completely).

    Args:
        relevance: True relevance, 0 to 1.
        rng: Random number generator.
    """
    first, second, third = (_rate_by_expert(expert, relevance, rng) for expert in EXPERTS)
    return first, second, third


def rate_by_crowd(relevance: float, rng: np.random.Generator) -> float:
    """Return the share of yes votes among three to five crowd votes, rounded to four decimal places.

    Args:
        relevance: True relevance, 0 to 1.
        rng: Random number generator.
    """
    n_votes = int(rng.choice(_VOTE_COUNTS, p=_VOTE_COUNT_SHARES))
    probability = _ERROR_RATE + (1 - 3 * _ERROR_RATE) / (1 + np.exp(-_YES_STEEPNESS * (relevance - _YES_THRESHOLD)))
    return round(int(rng.binomial(n_votes, probability)) / n_votes, 4)


def _rate_by_expert(expert: SimulatedExpert, relevance: float, rng: np.random.Generator) -> int:
    carelessness, deviation = rng.random(), rng.standard_normal()
    random_rating = int(rng.integers(1, 5))
    if carelessness < expert.careless:
        return random_rating
    return int(np.clip(round(1 + 3 * relevance + expert.bias + expert.noise * deviation), 1, 4))
