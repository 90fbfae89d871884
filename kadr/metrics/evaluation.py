"""Metrics with bootstrap intervals for one set of predictions. docs/quality.md describes the protocol."""

from collections.abc import Callable, Mapping, Sequence

import pandas as pd

from kadr.io.embeddings import Rows
from kadr.io.schemas import PAIR
from kadr.metrics.benchmark_ratings import leave_one_out_ratings
from kadr.metrics.bootstrap import Interval, bootstrap
from kadr.metrics.pair_metrics import PAIR_METRICS, Metric
from kadr.metrics.retrieval import RETRIEVAL_METRICS, Ranks, ndcg_by_query
from kadr.params import EvaluateParams

Estimates = dict[str, Interval | None]
"""Bootstrap intervals by metric name; None if the metric is undefined."""

NDCG, NDCG_CUTOFF = "ndcg_at_10", 10
RANKING_METRICS = ("tau_c", "tau_b", "spearman", "auc", "average_precision", NDCG)
ERROR_METRICS = ("rmse", "r2", "ece")


def agreement_metrics(
    predictions: pd.DataFrame,
    expert: pd.DataFrame,
    crowd: pd.DataFrame,
    params: EvaluateParams,
    seed: int,
    *,
    names: Sequence[str] = RANKING_METRICS + ERROR_METRICS,
) -> Estimates:
    """Measure how well out-of-fold scores agree with ratings and with the aggregated relevance.

    Args:
        predictions: columns image_id, query_id, relevance and score, one row per pair.
        expert: the result of `kadr.metrics.expert_ratings`; `tau_c` compares the scores with these ratings.
        crowd: the result of `kadr.metrics.crowd_ratings`; `tau_b` compares the scores with these ratings.
        params: number of resamples and confidence level.
        seed: random seed of the bootstrap.
        names: metrics to compute. Scores that are not on the scale of the relevance, such as cosines, have
            RANKING_METRICS only. Scores that are constant within a fold have ERROR_METRICS only.

    Returns:
        One interval per metric. `ndcg_at_10` resamples queries; all other metrics resample images.
    """
    predictions = predictions.sort_values(PAIR)
    score = predictions[[*PAIR, "score"]]
    single_ratings = {
        "tau_c": expert.merge(score, on=PAIR).rename(columns={"rating": "target"}),
        "tau_b": crowd.merge(score, on=PAIR).rename(columns={"rating": "target"}),
    }
    aggregated = predictions.rename(columns={"relevance": "target"})
    estimates: Estimates = {}
    for name in names:
        if name == NDCG:
            estimates[name] = _mean_over_queries(ndcg_by_query(predictions, NDCG_CUTOFF), params, seed)
        else:
            sample = single_ratings.get(name, aggregated)
            estimates[name] = _bootstrap_by_image(PAIR_METRICS[name], sample, params, seed)
    return estimates


def _bootstrap_by_image(metric: Metric, sample: pd.DataFrame, params: EvaluateParams, seed: int) -> Interval | None:
    """Estimate a metric of the columns target and score."""
    target, score = sample["target"].to_numpy(dtype=float), sample["score"].to_numpy(dtype=float)

    def statistic(rows: Rows) -> float | None:
        return metric(target[rows], score[rows])

    return bootstrap(statistic, sample["image_id"].tolist(), params.n_bootstrap, params.confidence, seed)


def _mean_over_queries(by_query: "pd.Series[float]", params: EvaluateParams, seed: int) -> Interval | None:
    """Estimate the mean of one value per query, with query_id as the index."""
    values = by_query.to_numpy(dtype=float)
    if not len(values):
        return None
    return bootstrap(
        lambda rows: float(values[rows].mean()), by_query.index.tolist(), params.n_bootstrap, params.confidence, seed
    )


def retrieval_metrics(rank: Ranks, image_ids: list[str], params: EvaluateParams, seed: int) -> Estimates:
    """Compute recall@k and the mean reciprocal rank of the queries' own images.

    Args:
        rank: (n_queries,) rank of each query's own image, by `kadr.metrics.target_ranks`.
        image_ids: (n_queries,) the queries' own images, which the bootstrap resamples.
        params: number of resamples and confidence level.
        seed: random seed of the bootstrap.
    """

    def estimate(metric: Callable[[Ranks], float | None]) -> Interval | None:
        return bootstrap(lambda rows: metric(rank[rows]), image_ids, params.n_bootstrap, params.confidence, seed)

    return {name: estimate(metric) for name, metric in RETRIEVAL_METRICS.items()}


def ceiling(expert: pd.DataFrame, params: EvaluateParams, seed: int) -> Estimates:
    """Compute `tau_c` of the experts' mean rating on the same ratings, an upper bound for any score."""
    mean = expert.groupby(PAIR)["rating"].transform("mean")
    sample = expert.rename(columns={"rating": "target"}).assign(score=mean)
    return {"tau_c": _bootstrap_by_image(PAIR_METRICS["tau_c"], sample, params, seed)}


def human_agreement(predictions: pd.DataFrame, expert: pd.DataFrame, params: EvaluateParams, seed: int) -> Estimates:
    """Compare the model with leave-one-out expert agreement.

    Every expert rating of a pair with two or more is compared with the mean of the pair's other expert ratings, and
    with the model's score.

    Args:
        predictions: columns image_id, query_id and score, one row per pair.
        expert: the result of `kadr.metrics.expert_ratings`.
        params: number of resamples and confidence level.
        seed: random seed of the bootstrap.

    Returns:
        tau_c: Kendall's tau-c of the other experts' mean.
        model: Kendall's tau-c of the model's score on the same ratings.
        share: `model` as a percentage of `tau_c`.
        All are None if no pair has two expert ratings.
    """
    ratings = leave_one_out_ratings(expert).rename(columns={"rating": "target"})
    sample = ratings.merge(predictions[[*PAIR, "score"]], on=PAIR)
    tau_c = PAIR_METRICS["tau_c"]
    others = _bootstrap_by_image(tau_c, sample.assign(score=sample["others"]), params, seed)
    model = _bootstrap_by_image(tau_c, sample, params, seed)
    return {"tau_c": others, "model": model, "share": model.percent_of(others) if model and others else None}


def differences(model: Estimates, baseline: Estimates) -> dict[str, Interval]:
    """Return the paired bootstrap difference of model and baseline for each metric that both define.

    Both estimates must come from the same rows and the same seed.
    """
    return {name: value - other for name, value in model.items() if value and (other := baseline.get(name))}


def as_json(estimates: Mapping[str, Interval | None]) -> dict[str, dict[str, float] | None]:
    """Return each estimate as `{value, low, high}`, rounded to six digits; undefined metrics are null."""
    return {
        name: None if interval is None else {key: round(getattr(interval, key), 6) for key in ("value", "low", "high")}
        for name, interval in estimates.items()
    }


def missing_metrics() -> Estimates:
    """Return None for every metric name, as the default of metrics that a baseline or a dataset cannot have."""
    return dict.fromkeys([*RANKING_METRICS, *ERROR_METRICS, *RETRIEVAL_METRICS])
