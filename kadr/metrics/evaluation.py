"""Compute evaluation metrics with bootstrap intervals. docs/quality.md describes the evaluation protocol."""

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
"""Estimate and bootstrap interval of each metric, by metric name. Undefined metrics are None."""

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
    """Measure how well predicted scores agree with the ratings and with the aggregated relevance.

    Args:
        predictions: table with columns image_id, query_id, relevance and score, one row per pair.
        expert: expert ratings, as returned by `kadr.metrics.expert_ratings`. The metric `tau_c` is computed from these
            ratings.
        crowd: crowd ratings, as returned by `kadr.metrics.crowd_ratings`. The metric `tau_b` is computed from these
            ratings.
        params: number of resamples and confidence level.
        seed: random seed of the bootstrap.
        names: names of the metrics to compute. Use RANKING_METRICS for scores that are on a different scale than the
            relevance, such as cosines. Use ERROR_METRICS for scores that are constant within each fold.

    Returns:
        Estimate and interval of each metric. The bootstrap resamples queries for `ndcg_at_10`, and images for all other
        metrics.
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
    """Compute a metric from the columns target and score, and bootstrap it by image."""
    target, score = sample["target"].to_numpy(dtype=float), sample["score"].to_numpy(dtype=float)

    def statistic(rows: Rows) -> float | None:
        return metric(target[rows], score[rows])

    return bootstrap(statistic, sample["image_id"].tolist(), params.n_bootstrap, params.confidence, seed)


def _mean_over_queries(by_query: "pd.Series[float]", params: EvaluateParams, seed: int) -> Interval | None:
    """Compute the mean of a series with one value per query_id, and bootstrap it by query."""
    values = by_query.to_numpy(dtype=float)
    if not len(values):
        return None
    return bootstrap(
        lambda rows: float(values[rows].mean()), by_query.index.tolist(), params.n_bootstrap, params.confidence, seed
    )


def retrieval_metrics(rank: Ranks, image_ids: list[str], params: EvaluateParams, seed: int) -> Estimates:
    """Compute recall@k and the mean reciprocal rank of the target images.

    Args:
        rank: (n_queries,) rank of each query's target image, as returned by `kadr.metrics.target_ranks`.
        image_ids: (n_queries,) ID of each query's target image. The bootstrap resamples images.
        params: number of resamples and confidence level.
        seed: random seed of the bootstrap.
    """

    def estimate(metric: Callable[[Ranks], float | None]) -> Interval | None:
        return bootstrap(lambda rows: metric(rank[rows]), image_ids, params.n_bootstrap, params.confidence, seed)

    return {name: estimate(metric) for name, metric in RETRIEVAL_METRICS.items()}


def ceiling(expert: pd.DataFrame, params: EvaluateParams, seed: int) -> Estimates:
    """Compute the `tau_c` of the mean expert ratings. No model can be expected to reach a higher `tau_c`.

    Args:
        expert: expert ratings, as returned by `kadr.metrics.expert_ratings`.
        params: number of resamples and confidence level.
        seed: random seed of the bootstrap.
    """
    mean = expert.groupby(PAIR)["rating"].transform("mean")
    sample = expert.rename(columns={"rating": "target"}).assign(score=mean)
    return {"tau_c": _bootstrap_by_image(PAIR_METRICS["tau_c"], sample, params, seed)}


def human_agreement(predictions: pd.DataFrame, expert: pd.DataFrame, params: EvaluateParams, seed: int) -> Estimates:
    """Compare the model's agreement with experts to the agreement among experts.

    The function uses all pairs with at least two expert ratings. Each expert rating is compared with the mean of the
    other expert ratings of the pair, and with the model's score.

    Args:
        predictions: table with columns image_id, query_id and score, one row per pair.
        expert: expert ratings, as returned by `kadr.metrics.expert_ratings`.
        params: number of resamples and confidence level.
        seed: random seed of the bootstrap.

    Returns:
        A dictionary with the following keys. All values are None if no pair has two expert ratings.

        tau_c: Kendall's tau-c between each expert rating and the mean rating of the other experts.
        model: Kendall's tau-c between each of these expert ratings and the model's score.
        share: `model` as a percentage of `tau_c`.
    """
    ratings = leave_one_out_ratings(expert).rename(columns={"rating": "target"})
    sample = ratings.merge(predictions[[*PAIR, "score"]], on=PAIR)
    tau_c = PAIR_METRICS["tau_c"]
    others = _bootstrap_by_image(tau_c, sample.assign(score=sample["others"]), params, seed)
    model = _bootstrap_by_image(tau_c, sample, params, seed)
    return {"tau_c": others, "model": model, "share": model.percent_of(others) if model and others else None}


def differences(model: Estimates, baseline: Estimates) -> dict[str, Interval]:
    """Return the difference between model and baseline for each shared metric, with a paired bootstrap interval.

    The estimates of the model and the baseline must be computed on the same rows with the same seed.
    """
    return {name: value - other for name, value in model.items() if value and (other := baseline.get(name))}


def as_json(estimates: Mapping[str, Interval | None]) -> dict[str, dict[str, float] | None]:
    """Convert each estimate to `{value, low, high}`, rounded to six decimals. Undefined metrics stay None."""
    return {
        name: None if interval is None else {key: round(getattr(interval, key), 6) for key in ("value", "low", "high")}
        for name, interval in estimates.items()
    }


def missing_metrics() -> Estimates:
    """Return a dictionary that maps the name of every metric to None."""
    return dict.fromkeys([*RANKING_METRICS, *ERROR_METRICS, *RETRIEVAL_METRICS])
