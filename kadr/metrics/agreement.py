"""How well scores agree with people: rank correlations by the public protocol, errors and discrimination."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy import stats

Values = np.ndarray[tuple[int], np.dtype[np.float64]]
Bins = np.ndarray[tuple[int], np.dtype[np.int64]]
RELEVANT = 0.5  # a pair counts as relevant from here on, for the area under the ROC curve and average precision
N_BINS = 10  # of a reliability diagram


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


def _average_precision(relevance: Values, score: Values) -> float | None:
    """Mean precision at the places of the relevant pairs (Salton and McGill 1983); by chance it is their share."""
    relevant = relevance >= RELEVANT
    if not relevant.any() or relevant.all():
        return None
    order = np.argsort(-score, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)  # equal scores share one place
    found = np.cumsum(relevant[order])[ends]
    return float(np.sum(np.diff(found, prepend=0) * found / (ends + 1)) / found[-1])


def _ece(relevance: Values, score: Values) -> float | None:
    """Expected calibration error (Naeini et al. 2015): mean gap of the reliability diagram, by the pairs in a bin."""
    if not len(relevance):
        return None
    bins = _bins(score, N_BINS)
    return float(np.abs(np.bincount(bins, score) - np.bincount(bins, relevance)).sum() / len(score))


def _bins(score: Values, n_bins: int) -> Bins:
    return np.clip((score * n_bins).astype(np.int64), 0, n_bins - 1)


agreement: dict[str, Callable[[Values, Values], float | None]] = {
    "tau_c": _tau("c"),
    "tau_b": _tau("b"),
    "spearman": _spearman,
    "rmse": _rmse,
    "r2": _r2,
    "auc": _auc,
    "average_precision": _average_precision,
    "ece": _ece,
}
"""Name -> figure(people's value, score); None where the sample has none. tau_c, tau_b: Kendall's tau x 100."""


def reliability(people: Values, score: Values, n_bins: int = N_BINS) -> pd.DataFrame:
    """What people say of pairs with about the same score: columns predicted, observed, n; one row a non-empty bin.

    The bins have equal widths on 0..1 (reliability diagram; Murphy and Winkler 1977).
    """
    table = pd.DataFrame({"bin": _bins(score, n_bins), "predicted": score, "observed": people, "n": 1}).groupby("bin")
    return table.agg({"predicted": "mean", "observed": "mean", "n": "sum"}).reset_index(drop=True)
