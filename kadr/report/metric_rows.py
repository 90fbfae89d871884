"""Table rows for the metrics in metrics/evaluate.json. Metrics without a value are omitted."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class MetricFormat:
    """The label, the description and the number of decimal places of a metric."""

    label: str
    description: str
    digits: int


METRICS = {
    "tau_c": MetricFormat(
        "tau-c", "100 x Kendall's tau-c with individual expert ratings, except ratings of an image's own caption", 1
    ),
    "tau_b": MetricFormat("tau-b", "100 x Kendall's tau-b with the share of yes votes from the crowd", 1),
    "spearman": MetricFormat("Spearman", "Rank correlation with the rated relevance", 3),
    "rmse": MetricFormat("RMSE", "Root mean square error of the predicted relevance; lower is better", 3),
    "r2": MetricFormat("R²", "Coefficient of determination of the predicted relevance", 3),
    "auc": MetricFormat("AUC", "Probability that a relevant pair has a higher score than an irrelevant pair", 3),
    "average_precision": MetricFormat("average precision", "Mean precision at the ranks of the relevant pairs", 3),
    "ndcg_at_10": MetricFormat(
        "NDCG@10", "Quality of the first 10 ranks when the rated images of a query are ranked", 3
    ),
    "ece": MetricFormat("ECE", "Expected calibration error; lower is better", 3),
    "recall_at_1": MetricFormat("recall@1", "Share of test queries whose target image is the first result", 3),
    "recall_at_5": MetricFormat("recall@5", "Share of test queries whose target image is among the first 5 results", 3),
    "recall_at_10": MetricFormat(
        "recall@10", "Share of test queries whose target image is among the first 10 results", 3
    ),
    "mrr": MetricFormat("MRR", "Mean reciprocal rank of the target image", 3),
}
PAIR_METRIC_KEYS = ("tau_c", "tau_b", "spearman", "auc", "average_precision", "ndcg_at_10", "rmse", "r2", "ece")
RETRIEVAL_METRIC_KEYS = ("recall_at_1", "recall_at_5", "recall_at_10", "mrr")
SOURCE_LABELS = {
    "model": "model",
    "seen_text": "seen text",
    "cosine": "cosine",
    "concat": "concatenation",
    "mean": "mean",
    "human": "other experts",
    "ceiling": "human ceiling",
}
"""Column headings for the model, its baselines and the human raters."""


@dataclass(frozen=True)
class MetricCell:
    """A formatted metric and its interval, for example `48.9` and `47.1 to 50.6`.

    Attributes:
        value: Formatted value.
        interval: Formatted interval, or an empty string.
        significant: Whether the metric is a difference whose interval does not contain 0.
    """

    value: str
    interval: str
    significant: bool = False


@dataclass(frozen=True)
class MetricRow:
    """The values of one metric for the model, the baselines and the human raters.

    Attributes:
        key: Key of the metric in metrics/evaluate.json.
        metric: Label and format of the metric.
        cells: Mapping from each key of `SOURCE_LABELS` to a cell, or to None if the metric is missing.
    """

    key: str
    metric: MetricFormat
    cells: dict[str, MetricCell | None]


def make_metric_rows(evaluate: Mapping[str, Any], keys: tuple[str, ...] = tuple(METRICS)) -> list[MetricRow]:
    """Return one row for each metric that has at least one value.

    Args:
        evaluate: Contents of metrics/evaluate.json.
        keys: Keys of the metrics to include, in the order of the rows.
    """
    baselines = evaluate.get("baselines") or {}
    sources = {
        "model": evaluate,
        "seen_text": evaluate.get("seen_text") or {},
        **{name: baselines.get(name) or {} for name in ("cosine", "concat", "mean")},
        "human": evaluate.get("human") or {},
        "ceiling": evaluate.get("ceiling") or {},
    }
    rows = []
    for key in keys:
        cells = {name: format_metric(source.get(key), METRICS[key].digits) for name, source in sources.items()}
        if any(cells.values()):
            rows.append(MetricRow(key, METRICS[key], cells))
    return rows


def format_metric(estimate: Mapping[str, float] | None, digits: int, sign: str = "") -> MetricCell | None:
    """Format an estimate with its interval, or return None if the estimate has no value.

    Args:
        estimate: Mapping with the keys `value`, `low` and `high`.
        digits: Number of decimal places.
        sign: "+" to show the sign of a difference, or an empty string for other estimates.
    """
    if not estimate or estimate.get("value") is None:
        return None
    low, high, number_format = estimate.get("low"), estimate.get("high"), f"{sign}.{digits}f"
    interval = "" if low is None or high is None else f"{low:{number_format}} to {high:{number_format}}"
    significant = bool(sign) and low is not None and high is not None and not low <= 0 <= high
    return MetricCell(f"{estimate['value']:{number_format}}", interval, significant)
