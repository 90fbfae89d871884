"""Comparison tables for baselines, ablations, kinds of pairs and reranking."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from kadr.io.schemas import PAIR
from kadr.metrics import PAIR_METRICS
from kadr.report.metric_rows import METRICS, SOURCE_LABELS, MetricCell, format_metric

ABLATION_GROUPS = {
    "modality": "Embeddings only: text, image or both",
    "encoders": "Without one encoder",
    "blocks": "Without one feature block",
    "aggregates": "Trained with another aggregation method",
    "objectives": "Trained with another loss",
    "sources": "Trained on ratings from one source",
}
_NUMBER_PATTERN = r"\b(?:two|three|four|five|six|seven|eight|nine|ten|три|два|две|четыре|пять|шесть|семь|восемь|\d+)\b"
_NEGATION_PATTERN = r"\b(?:no|not|none|nobody|nothing|never|without|не|нет|без|никто|ничего)\b|n't\b"
_WORD_COUNTS = ((0, 7, "up to 7 words"), (8, 12, "8 to 12 words"), (13, np.inf, "13 words or more"))
_SPREADS = ((0.0, 0.1, "raters agree"), (0.1, 0.25, "raters differ"), (0.25, np.inf, "raters disagree strongly"))


@dataclass(frozen=True)
class ComparisonRow:
    """One row of a comparison table.

    Attributes:
        name: Name of the row.
        description: Short explanation of the row.
        cells: One cell for each column. A missing value is None.
    """

    name: str
    description: str
    cells: Sequence[MetricCell | None]


@dataclass(frozen=True)
class ComparisonTable:
    """A comparison table and an optional conclusion.

    Attributes:
        columns: Headings of all columns except the first column, which contains the row names.
        rows: Rows of the table.
        conclusion: Sentences that interpret the table, or an empty string.
    """

    columns: Sequence[str]
    rows: Sequence[ComparisonRow]
    conclusion: str = ""


def compare_with_baselines(evaluate: Mapping[str, Any]) -> ComparisonTable:
    """Return a table of the differences between the model and each baseline, with paired bootstrap intervals.

    Args:
        evaluate: Contents of metrics/evaluate.json.
    """
    baselines = evaluate.get("differences") or {}
    rows = [
        ComparisonRow(
            metric.label,
            metric.description,
            [format_metric(differences.get(key), metric.digits, "+") for differences in baselines.values()],
        )
        for key, metric in METRICS.items()
    ]
    columns = [f"model − {SOURCE_LABELS.get(name, name)}" for name in baselines]
    return ComparisonTable(columns, [row for row in rows if any(row.cells)])


def compare_reranking(evaluate: Mapping[str, Any], rerank: int) -> ComparisonTable:
    """Compare the reranked results with the ranking by cosine, and recommend whether to use reranking.

    Args:
        evaluate: Contents of metrics/evaluate.json.
        rerank: Current value of `index.rerank`.
    """
    differences = {key: estimate for key, estimate in (evaluate.get("reordering") or {}).items() if estimate}
    cells = {key: format_metric(estimate, METRICS[key].digits, "+") for key, estimate in differences.items()}
    rows = [ComparisonRow(METRICS[key].label, METRICS[key].description, [cell]) for key, cell in cells.items()]
    better, worse = (
        [
            METRICS[key].label
            for key, cell in cells.items()
            if cell and cell.significant and direction * differences[key]["value"] > 0
        ]
        for direction in (1, -1)
    )
    if worse:
        conclusion = f"Reranking makes {', '.join(worse)} significantly worse. Turn reranking off."
    elif better:
        improved = ", ".join(better)
        conclusion = (
            f"Reranking significantly improves {improved} and makes no metric significantly worse. Turn reranking on."
        )
    else:
        conclusion = "Reranking does not significantly change any metric. Turn reranking off for faster searches."
    state = f"Current setting: index.rerank is {rerank} ({'on' if rerank else 'off'})."
    return ComparisonTable(["reranked − cosine"], rows, f"{conclusion} {state}" if rows else "")


def compare_ablations(ablate: Mapping[str, Any]) -> ComparisonTable:
    """Return a table with the metrics of each ablation and their differences from the metrics of the model.

    Args:
        ablate: Contents of metrics/ablate.json.
    """
    model = ablate.get("model") or {}
    keys = [key for key, estimate in model.items() if estimate]

    def make_row(name: str, description: str, variant: Mapping[str, Any]) -> ComparisonRow:
        differences = variant.get("difference") or {}
        cells: list[MetricCell | None] = []
        for key in keys:
            cells.append(format_metric(variant.get(key), METRICS[key].digits))
            cells.append(format_metric(differences.get(key), METRICS[key].digits, "+"))
        return ComparisonRow(name, description, cells)

    rows = [make_row("model", "All features and ratings", model)]
    for group, variants in (ablate.get("rows") or {}).items():
        rows += [make_row(name, ABLATION_GROUPS.get(group, group), variant) for name, variant in variants.items()]
    columns = [column for key in keys for column in (METRICS[key].label, "− model")]
    return ComparisonTable(columns, rows if keys and len(rows) > 1 else [])


def compare_pair_kinds(predictions: pd.DataFrame, relevance: pd.DataFrame, queries: pd.DataFrame) -> ComparisonTable:
    """Return a table with one row for each kind of held-out pair: number, mean relevances, RMSE and AUC.

    Args:
        predictions: Held-out predictions, with the columns of the schema PREDICTIONS.
        relevance: Relevance of the pairs, with the columns of the schema RELEVANCE.
        queries: Queries of the pairs, with the columns of the schema QUERIES.
    """
    details = relevance[[*PAIR, "n_expert", "spread"]].merge(
        queries[["query_id", "text", "image_id"]].rename(columns={"image_id": "caption_image_id"}), on="query_id"
    )
    pairs = predictions.merge(details, on=PAIR)
    rows = [
        _make_kind_row(name, description, pairs[mask]) for name, description, mask in _pair_kinds(pairs) if mask.any()
    ]
    return ComparisonTable(["pairs", "mean rated", "mean predicted", METRICS["rmse"].label, METRICS["auc"].label], rows)


def _pair_kinds(pairs: pd.DataFrame) -> Iterator[tuple[str, str, "pd.Series[bool]"]]:
    """Yield the name, the description and the row mask of each kind of pair."""
    n_words, text, spread = pairs["text"].str.count(r"\S+"), pairs["text"].str.lower(), pairs["spread"]
    for minimum, maximum, name in _WORD_COUNTS:
        yield name, "Length of the query", n_words.between(minimum, maximum)
    yield "with a number", "The query contains a number, for example: two, 4", text.str.contains(_NUMBER_PATTERN)
    yield (
        "with a negation",
        "The query contains a negation, for example: no, without",
        text.str.contains(_NEGATION_PATTERN),
    )
    yield "own caption", "The query is a caption of the image", pairs["caption_image_id"] == pairs["image_id"]
    yield "rated by experts", "These pairs can also have crowd votes", pairs["n_expert"] > 0
    yield "rated only by the crowd", "", pairs["n_expert"] == 0
    for low, high, name in _SPREADS:
        limits = f"{low:g} to {high:g}" if high < np.inf else f"{low:g} or more"
        yield name, f"Standard deviation of the ratings: {limits}", (spread >= low) & (spread < high)


def _make_kind_row(name: str, description: str, pairs: pd.DataFrame) -> ComparisonRow:
    rated, predicted = pairs["relevance"].to_numpy(dtype=float), pairs["score"].to_numpy(dtype=float)
    values = [rated.mean(), predicted.mean(), *(PAIR_METRICS[key](rated, predicted) for key in ("rmse", "auc"))]
    cells = [None if value is None else MetricCell(f"{value:.3f}", "") for value in values]
    return ComparisonRow(name, description, [MetricCell(f"{len(pairs):,}", ""), *cells])
