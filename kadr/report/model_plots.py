"""Plots about the model: comparison with the baselines, calibration, scores by rating, and feature importance."""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from kadr.io.schemas import PAIR
from kadr.report.metric_rows import METRICS, SOURCE_LABELS
from kadr.report.rating_plots import BOX_LEGEND, group_by_level, select_source
from kadr.report.svg_plots import (
    SvgPlot,
    bar_height,
    box_plot,
    calibration_plot,
    draw_plot,
    interval_plot,
    share_bars,
)

_IMPORTANCES = (  # key of metrics/train.json, title, caption, axis label
    (
        "importance",
        "Feature importance",
        "Each feature block's share of the total gain of all LightGBM splits.",
        "share of the total gain",
    ),
    (
        "shap",
        "SHAP values",
        "Each feature block's share of the mean absolute SHAP value, over the rated pairs.",
        "share of the mean |SHAP|",
    ),
)


def plot_model(
    predictions: pd.DataFrame, ratings: pd.DataFrame, evaluate: Mapping[str, Any], train: Mapping[str, Any]
) -> list[SvgPlot]:
    """Plot the agreement with the ratings, the calibration, the scores by rating and the feature importance.

    Args:
        predictions: Held-out predictions, with the columns of the schema PREDICTIONS.
        ratings: Ratings with the columns of the schema RATINGS.
        evaluate: Contents of metrics/evaluate.json.
        train: Contents of metrics/train.json. The optional keys `importance` and `shap` contain the share of each
            feature block.
    """
    scores, relevances = predictions["score"].to_numpy(), predictions["relevance"].to_numpy()
    caption = "Held-out pairs in ten groups, from low to high predictions. Each point shows the means of one group."
    if evaluate.get("ece"):
        caption += f" Expected calibration error: {evaluate['ece']['value']:.3f}."
    plots = [*_plot_comparison(evaluate), draw_plot("Calibration", caption, calibration_plot(scores, relevances))]
    plots += _plot_scores_by_rating(predictions, ratings)
    for key, title, caption, label in _IMPORTANCES:
        if train.get(key):
            shares = dict(sorted(train[key].items(), key=lambda item: (-item[1], item[0])))
            plots.append(draw_plot(title, caption, share_bars(shares, label), bar_height(len(shares))))
    return plots


def _plot_comparison(evaluate: Mapping[str, Any]) -> Iterator[SvgPlot]:
    for key in ("tau_c", "tau_b", "spearman"):
        if not evaluate.get(key):
            continue
        sources = {"model": evaluate, **(evaluate.get("baselines") or {})}
        sources |= {name: evaluate.get(name) or {} for name in ("human", "ceiling")}
        estimates = {
            SOURCE_LABELS.get(name, name): (source[key]["value"], source[key]["low"], source[key]["high"])
            for name, source in sources.items()
            if (source or {}).get(key)
        }
        caption = f"{METRICS[key].description}. Points show values, and bars show bootstrap intervals."
        paint = interval_plot(estimates, METRICS[key].label)
        yield draw_plot("Agreement with the ratings", caption, paint, bar_height(len(estimates)))
        return


def _plot_scores_by_rating(predictions: pd.DataFrame, ratings: pd.DataFrame) -> Iterator[SvgPlot]:
    expert = select_source(ratings, "expert").merge(predictions, on=PAIR)
    groups = group_by_level(expert["score"], expert["rating"].round(2))
    if groups:
        paint = box_plot(groups, "expert rating", "predicted relevance")
        caption = f"Predictions for held-out pairs, grouped by individual expert rating. {BOX_LEGEND}"
        yield draw_plot("Predictions by expert rating", caption, paint)
