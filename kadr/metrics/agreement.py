"""How well scores agree with people: rank correlations by the public protocol, errors and discrimination."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy import stats

Values = np.ndarray[tuple[int], np.dtype[np.float64]]
RELEVANT = 0.5  # a pair counts as relevant from here on, for the area under the ROC curve


def _tau(variant: str) -> Callable[[Values, Values], float | None]:
    def tau(rating: Values, score: Values) -> float | None:
        if not _varies(rating, score):
            return None
        return 100.0 * float(stats.kendalltau(score, rating, variant=variant).statistic)

    return tau


def _varies(rating: Values, score: Values) -> bool:
    return len(rating) > 1 and bool(np.ptp(rating) > 0) and bool(np.ptp(score) > 0)


def _spearman(relevance: Values, score: Values) -> float | None:
    return float(stats.spearmanr(relevance, score).statistic) if _varies(relevance, score) else None


def _rmse(relevance: Values, score: Values) -> float | None:
    return float(np.sqrt(np.mean((relevance - score) ** 2))) if len(relevance) else None


def _r2(relevance: Values, score: Values) -> float | None:
    if len(relevance) < 2 or np.ptp(relevance) == 0:
        return None
    return float(1.0 - np.sum((relevance - score) ** 2) / np.sum((relevance - relevance.mean()) ** 2))


def _auc(relevance: Values, score: Values) -> float | None:
    """Share of (relevant, not) pairs that the score ranks right, by the sum of ranks (Mann and Whitney 1947)."""
    relevant = relevance >= RELEVANT
    n_relevant, n_other = int(relevant.sum()), int((~relevant).sum())
    if not n_relevant or not n_other or np.ptp(score) == 0:
        return None
    rank_sum = stats.rankdata(score)[relevant].sum()
    return float((rank_sum - n_relevant * (n_relevant + 1) / 2) / (n_relevant * n_other))


agreement: dict[str, Callable[[Values, Values], float | None]] = {
    "tau_c": _tau("c"),
    "tau_b": _tau("b"),
    "spearman": _spearman,
    "rmse": _rmse,
    "r2": _r2,
    "auc": _auc,
}
"""Name -> figure(people's value, score); None where the sample has none. tau_c, tau_b: Kendall's tau x 100."""


def reliability(people: Values, score: Values, n_bins: int = 10) -> pd.DataFrame:
    """What people say of pairs with about the same score: columns predicted, observed, n; one row a non-empty bin.

    The bins have equal widths on 0..1 (reliability diagram; Murphy and Winkler 1977).
    """
    bins = np.clip((score * n_bins).astype(int), 0, n_bins - 1)
    table = pd.DataFrame({"bin": bins, "predicted": score, "observed": people, "n": 1}).groupby("bin")
    return table.agg({"predicted": "mean", "observed": "mean", "n": "sum"}).reset_index(drop=True)
