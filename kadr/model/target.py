"""What the trees learn to predict of a pair, and the way back from it to a relevance."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kadr.errors import ParamsError

Scores = np.ndarray[tuple[int], np.dtype[np.float64]]
Target = Callable[[Scores, Scores], Scores]
_EDGE = 1e-6  # scores are kept so far away from 0 and 1, where logarithms end


def ridit(relevance: Scores, weight: Scores) -> Scores:
    """The share of all pairs, by weight, that are less relevant, those as relevant counting half (Bross 1958).

    Agreement in rank is judged by who stands above whom. The ridit counts just that, where the relevance itself would
    let the few pairs of high relevance decide. (n,) in 0..1, rising with the relevance.
    """
    _, level = np.unique(relevance, return_inverse=True)
    mass = np.bincount(level, weights=weight)
    middle = (np.cumsum(mass) - mass / 2) / mass.sum()
    return np.asarray(middle[level], dtype=np.float64)


def _relevance(relevance: Scores, _weight: Scores) -> Scores:
    return relevance


TARGETS: dict[str, Target] = {"relevance": _relevance, "ridit": ridit}


def choose_target(name: str) -> Target:
    """The target of this name. Raises ParamsError that lists the choices."""
    if name not in TARGETS:
        raise ParamsError(f"train.target: got {name!r}, wanted one of {', '.join(sorted(TARGETS))}")
    return TARGETS[name]


@dataclass(frozen=True)
class Calibration:
    """Beta calibration (Kull et al. 2017): a score s in 0..1 becomes sigmoid(a ln s - b ln(1 - s) + c).

    It rises strictly, so that no order of pairs is lost; (1, 1, 0) leaves the score as it is.
    """

    a: float = 1.0
    b: float = 1.0
    c: float = 0.0

    @classmethod
    def fit(cls, score: Scores, relevance: Scores, weight: Scores) -> "Calibration":
        """The calibration whose cross-entropy to the relevance is least, by weight."""
        from scipy.optimize import minimize

        inputs = _logarithms(score)
        weight = weight / weight.sum()

        def loss(abc: Scores) -> tuple[float, Scores]:
            logit = inputs @ abc
            wrong = weight * (1.0 / (1.0 + np.exp(-logit)) - relevance)
            return float(weight @ (np.logaddexp(0.0, logit) - relevance * logit)), inputs.T @ wrong

        found = minimize(loss, np.array([1.0, 1.0, 0.0]), jac=True, bounds=[(0.01, 50.0), (0.01, 50.0), (-50.0, 50.0)])
        return cls(*(float(value) for value in found.x))

    def __call__(self, score: Scores) -> Scores:
        """The relevance 0..1 of scores (n,)."""
        if self == Calibration():
            return score
        logit = _logarithms(score) @ np.array([self.a, self.b, self.c])
        return np.asarray(1.0 / (1.0 + np.exp(-logit)), dtype=np.float64)


def _logarithms(score: Scores) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    inside = np.clip(score, _EDGE, 1.0 - _EDGE)
    return np.stack([np.log(inside), -np.log1p(-inside), np.ones(len(inside))], axis=1)
