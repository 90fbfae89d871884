"""Bootstrap intervals by cluster: photos (or texts) are resampled, with all rows that belong to each (Efron 1979)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from kadr.io.embeddings import Rows


@dataclass(frozen=True)
class Interval:
    """An estimate with the percentile interval of its bootstrap distribution.

    Two estimates of the same rows, drawn with the same seed, come of the same samples, so that `ours - theirs` is the
    paired bootstrap of their difference, and `percent_of` that of their ratio.

    Attributes:
        value: of the whole.
        draws: of each sample; NaN where a sample has no such figure.
        confidence: of low..high.
    """

    value: float
    draws: tuple[float, ...]
    confidence: float

    @property
    def low(self) -> float:
        """The lower end."""
        return self._quantile((1 - self.confidence) / 2)

    @property
    def high(self) -> float:
        """The upper end."""
        return self._quantile((1 + self.confidence) / 2)

    def __sub__(self, other: "Interval") -> "Interval":
        return Interval(self.value - other.value, _each(np.subtract, self, other), self.confidence)

    def percent_of(self, other: "Interval") -> "Interval":
        """This in percent of `other`."""
        return Interval(_percent(self.value, other.value), _each(_percent, self, other), self.confidence)

    def _quantile(self, share: float) -> float:
        drawn = np.asarray(self.draws)
        drawn = drawn[np.isfinite(drawn)]
        return float(np.quantile(drawn, share)) if len(drawn) else self.value


def _each(combine: Callable[[float, float], float], left: Interval, right: Interval) -> tuple[float, ...]:
    return tuple(float(combine(a, b)) for a, b in zip(left.draws, right.draws, strict=True))


def _percent(a: float, b: float) -> float:
    return 100 * a / b if b else np.nan


def bootstrap(
    statistic: Callable[[Rows], float | None], clusters: Sequence[str], n_bootstrap: int, confidence: float, seed: int
) -> Interval | None:
    """The interval of `statistic(rows)` when clusters are drawn with replacement.

    Args:
        statistic: the figure of a sample, given as row numbers (a row may stand in it several times);
            None or NaN where the sample has no such figure.
        clusters: the cluster of each row, e.g. its image_id; rows of one cluster are not independent.
        n_bootstrap: how many samples are drawn.
        confidence: of the interval, e.g. 0.95.
        seed: of the draws; the same seed and clusters give the same samples.

    Returns:
        None where the whole has no such figure.
    """
    value = statistic(np.arange(len(clusters)))
    if value is None or np.isnan(value):
        return None
    members = _members(clusters)
    rng = np.random.default_rng(seed)
    draws = []
    for _ in range(n_bootstrap):
        drawn = statistic(np.concatenate([members[c] for c in rng.integers(len(members), size=len(members))]))
        draws.append(np.nan if drawn is None else float(drawn))
    return Interval(float(value), tuple(draws), confidence)


def _members(clusters: Sequence[str]) -> list[Rows]:
    _, number = np.unique(np.asarray(clusters, dtype=str), return_inverse=True)
    order = np.argsort(number, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(number[order])) + 1)
