"""Bootstrap intervals by cluster: photos (or texts) are resampled, with all rows that belong to each (Efron 1979)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from kadr.embeddings import Rows


@dataclass(frozen=True)
class Interval:
    """An estimate with the percentile interval of its bootstrap distribution."""

    value: float
    low: float
    high: float


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
        seed: of the draws.

    Returns:
        None where the whole has no such figure.
    """
    value = statistic(np.arange(len(clusters)))
    if value is None or np.isnan(value):
        return None
    members = _members(clusters)
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(n_bootstrap):
        drawn = statistic(np.concatenate([members[c] for c in rng.integers(len(members), size=len(members))]))
        if drawn is not None and not np.isnan(drawn):
            values.append(drawn)
    tail = (1 - confidence) / 2
    low, high = np.quantile(values, [tail, 1 - tail]) if values else (value, value)
    return Interval(float(value), float(low), float(high))


def _members(clusters: Sequence[str]) -> list[Rows]:
    _, number = np.unique(np.asarray(clusters, dtype=str), return_inverse=True)
    order = np.argsort(number, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(number[order])) + 1)
