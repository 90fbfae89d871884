"""Confidence intervals by the cluster bootstrap (Efron 1979).

The cluster bootstrap resamples groups of rows, e.g. all pairs of an image.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from kadr.io.embeddings import Rows


@dataclass(frozen=True)
class Interval:
    """An estimate with a percentile bootstrap interval.

    Two intervals that are computed on the same rows with the same seed use the same resamples. Their difference
    (`a - b`) and their ratio (`a.percent_of(b)`) are therefore paired bootstrap intervals.

    Attributes:
        value: estimate on all rows.
        resamples: estimate on each resample. An estimate is NaN if the statistic is undefined on the resample.
        confidence: confidence level, e.g. 0.95.
    """

    value: float
    resamples: tuple[float, ...]
    confidence: float

    @property
    def low(self) -> float:
        """Lower bound of the confidence interval."""
        return self._quantile((1 - self.confidence) / 2)

    @property
    def high(self) -> float:
        """Upper bound of the confidence interval."""
        return self._quantile((1 + self.confidence) / 2)

    def __sub__(self, other: "Interval") -> "Interval":
        return Interval(self.value - other.value, _combine(np.subtract, self, other), self.confidence)

    def percent_of(self, other: "Interval") -> "Interval":
        """Return this estimate as a percentage of another estimate."""
        return Interval(_percentage(self.value, other.value), _combine(_percentage, self, other), self.confidence)

    def _quantile(self, level: float) -> float:
        finite = np.asarray(self.resamples)[np.isfinite(self.resamples)]
        return float(np.quantile(finite, level)) if len(finite) else self.value


def _combine(function: Callable[[float, float], float], left: Interval, right: Interval) -> tuple[float, ...]:
    return tuple(float(function(a, b)) for a, b in zip(left.resamples, right.resamples, strict=True))


def _percentage(value: float, base: float) -> float:
    return 100 * value / base if base else np.nan


def bootstrap(
    statistic: Callable[[Rows], float | None], clusters: Sequence[str], n_bootstrap: int, confidence: float, seed: int
) -> Interval | None:
    """Compute a statistic and its bootstrap confidence interval.

    Args:
        statistic: function that computes the statistic for an array of row numbers. A row number may occur several
            times. The function returns None or NaN if the statistic is undefined.
        clusters: (n_rows,) cluster name of each row, e.g. its image_id. The rows of a cluster are resampled together.
        n_bootstrap: number of resamples.
        confidence: confidence level, e.g. 0.95.
        seed: random seed. The same seed and the same clusters give the same resamples.

    Returns:
        The estimate with its interval, or None if the statistic is undefined on the full set of rows.
    """
    value = statistic(np.arange(len(clusters)))
    if value is None or np.isnan(value):
        return None
    members = _rows_by_cluster(clusters)
    rng = np.random.default_rng(seed)
    resamples = []
    for _ in range(n_bootstrap):
        drawn = rng.integers(len(members), size=len(members))
        estimate = statistic(np.concatenate([members[cluster] for cluster in drawn]))
        resamples.append(np.nan if estimate is None else float(estimate))
    return Interval(float(value), tuple(resamples), confidence)


def _rows_by_cluster(clusters: Sequence[str]) -> list[Rows]:
    _, number = np.unique(np.asarray(clusters, dtype=str), return_inverse=True)
    order = np.argsort(number, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(number[order])) + 1)
