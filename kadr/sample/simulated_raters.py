"""From truth to ratings: three experts with their own habits, and a crowd that seldom says yes."""

from dataclasses import dataclass

import numpy as np

Rates = tuple[int, int, int]


@dataclass(frozen=True)
class Expert:
    """A rater of 1..4.

    Attributes:
        bias: How much higher than the truth they rate.
        noise: Spread of what they see, in rating steps.
        careless: Share of the pairs that they rate at random.
    """

    bias: float
    noise: float
    careless: float = 0.0


EXPERTS = (Expert(-0.15, 0.35), Expert(0.35, 0.40), Expert(0.05, 0.55, careless=0.25))
"""The persons behind `rate_1`, `rate_2`, `rate_3`: a strict one, a generous one, a careless one."""

CARELESS = 3
"""The number of the careless expert's column, `rate_3`."""

_VOTERS = (3, 4, 5)
_VOTER_SHARES = (0.9, 0.06, 0.04)
_YES_FROM, _STEEPNESS, _SLIP = 0.84, 16.0, 0.012


def expert_rates(truth: float, rng: np.random.Generator) -> Rates:
    """What the three experts say of a pair: 1 (does not match) .. 4 (matches completely)."""
    first, second, third = (_rate(expert, truth, rng) for expert in EXPERTS)
    return first, second, third


def crowd_share(truth: float, rng: np.random.Generator) -> float:
    """Share of three to five voters who say that the text describes the photo, to four decimals."""
    n_voters = int(rng.choice(_VOTERS, p=_VOTER_SHARES))
    yes = _SLIP + (1 - 3 * _SLIP) / (1 + np.exp(-_STEEPNESS * (truth - _YES_FROM)))
    return round(int(rng.binomial(n_voters, yes)) / n_voters, 4)


def _rate(expert: Expert, truth: float, rng: np.random.Generator) -> int:
    lot, seen = rng.random(), rng.standard_normal()
    at_random = int(rng.integers(1, 5))
    if lot < expert.careless:
        return at_random
    return int(np.clip(round(1 + 3 * truth + expert.bias + expert.noise * seen), 1, 4))
