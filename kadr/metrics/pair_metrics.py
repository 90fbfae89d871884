"""Metrics that compare predicted scores with target values: rank correlation, classification, error, calibration."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy import stats

Values = np.ndarray[tuple[int], np.dtype[np.float64]]
Bins = np.ndarray[tuple[int], np.dtype[np.int64]]
Metric = Callable[[Values, Values], float | None]

RELEVANCE_THRESHOLD = 0.5  # auc and average_precision count a pair as relevant if its target is at least this
N_BINS = 10


def _kendall_tau(variant: str) -> Metric:
    def tau(target: Values, score: Values) -> float | None:
        if not _both_vary(target, score):
            return None
        return 100.0 * float(stats.kendalltau(score, target, variant=variant).statistic)

    return tau


def _both_vary(target: Values, score: Values) -> bool:
    return len(target) > 1 and bool(np.ptp(target) > 0) and bool(np.ptp(score) > 0)


def _spearman(target: Values, score: Values) -> float | None:
    return float(stats.spearmanr(target, score).statistic) if _both_vary(target, score) else None


def _rmse(target: Values, score: Values) -> float | None:
    from sklearn.metrics import root_mean_squared_error

    return float(root_mean_squared_error(target, score)) if len(target) else None


def _r2(target: Values, score: Values) -> float | None:
    from sklearn.metrics import r2_score

    return float(r2_score(target, score)) if len(target) > 1 and np.ptp(target) > 0 else None


def _auc(target: Values, score: Values) -> float | None:
    """Return the area under the ROC curve, computed as the Mann-Whitney U statistic (Mann and Whitney 1947).

    `sklearn.metrics.roc_auc_score` returns the same result, but takes more than twice as long. The speed matters
    because the bootstrap computes the metric many times.
    """
    relevant = target >= RELEVANCE_THRESHOLD
    n_relevant, n_other = int(relevant.sum()), int((~relevant).sum())
    if not n_relevant or not n_other or np.ptp(score) == 0:
        return None
    rank_sum = stats.rankdata(score)[relevant].sum()
    return float((rank_sum - n_relevant * (n_relevant + 1) / 2) / (n_relevant * n_other))


def _average_precision(target: Values, score: Values) -> float | None:
    """Return the average precision (Salton and McGill 1983).

    `sklearn.metrics.average_precision_score` returns the same result, but takes more than twice as long. The expected
    value for random scores is the share of relevant pairs.
    """
    relevant = target >= RELEVANCE_THRESHOLD
    if not relevant.any() or relevant.all():
        return None
    order = np.argsort(-score, kind="stable")
    last_of_ties = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)
    n_relevant = np.cumsum(relevant[order])[last_of_ties]
    precision = n_relevant / (last_of_ties + 1)
    return float(np.sum(np.diff(n_relevant, prepend=0) * precision) / n_relevant[-1])


def _expected_calibration_error(target: Values, score: Values) -> float | None:
    """Return the expected calibration error (Naeini et al. 2015).

    Pairs are grouped into N_BINS bins by score. The error is the mean absolute difference between the mean score and
    the mean target of each bin, weighted by the number of pairs in the bin. scikit-learn's `calibration_curve` is not
    used because it accepts binary targets only.
    """
    if not len(target):
        return None
    bins = _bin_numbers(score, N_BINS)
    return float(np.abs(np.bincount(bins, score) - np.bincount(bins, target)).sum() / len(score))


def _bin_numbers(score: Values, n_bins: int) -> Bins:
    return np.clip((score * n_bins).astype(np.int64), 0, n_bins - 1)


PAIR_METRICS: dict[str, Metric] = {
    "tau_c": _kendall_tau("c"),
    "tau_b": _kendall_tau("b"),
    "spearman": _spearman,
    "rmse": _rmse,
    "r2": _r2,
    "auc": _auc,
    "average_precision": _average_precision,
    "ece": _expected_calibration_error,
}
"""Metric functions by name. Each function takes targets and scores, both (n,), and returns None if the metric is
undefined.

`tau_c` and `tau_b` are Kendall's rank correlation coefficients, multiplied by 100.
"""


def reliability_table(target: Values, score: Values, n_bins: int = N_BINS) -> pd.DataFrame:
    """Compute the points of a reliability diagram (Murphy and Winkler 1977).

    Args:
        target: (n,) observed values in 0..1.
        score: (n,) predicted values in 0..1.
        n_bins: number of bins of equal width between 0 and 1.

    Returns:
        One row per non-empty bin, with columns predicted (mean score), observed (mean target) and n (number of pairs).
    """
    table = pd.DataFrame({"bin": _bin_numbers(score, n_bins), "predicted": score, "observed": target, "n": 1})
    means = table.groupby("bin").agg({"predicted": "mean", "observed": "mean", "n": "sum"})
    return means.reset_index(drop=True)
