"""Tests for the plots: selection by available data, captions, and deterministic SVG with theme colours."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from kadr.report import svg_plots
from kadr.report.model_plots import plot_model
from kadr.report.rating_plots import plot_agreement, plot_ratings
from kadr.report.svg_plots import SvgPlot, draw_plot
from tests.kadr.report.literal_tables import CROWD_RATINGS, EVALUATE, PREDICTIONS, RATINGS, RELEVANCE

BLOCKS = {"cosine": 0.7, "product": 0.3}
VALUES = np.array([0.1, 0.9, 0.4, 0.9])
PAINTERS = {
    "count_plot": svg_plots.count_plot(["1", "2", "2"], ["1", "2"], "x", "y", percent=True),
    "histogram": svg_plots.histogram(VALUES, "x", "y"),
    "share_bars": svg_plots.share_bars(BLOCKS, "x"),
    "box_plot": svg_plots.box_plot({"a": VALUES, "b": VALUES}, "x", "y"),
    "interval_plot": svg_plots.interval_plot({"a": (0.5, 0.4, 0.6)}, "x"),
    "calibration_plot": svg_plots.calibration_plot(VALUES, VALUES),
}


def titles(plots: Sequence[SvgPlot]) -> list[str]:
    return [plot.title for plot in plots]


@pytest.mark.parametrize("paint", PAINTERS.values(), ids=PAINTERS)
def test_a_plot_is_deterministic_and_uses_only_theme_colours(paint: svg_plots.Painter) -> None:
    plot = draw_plot("title", "caption", paint)
    assert plot == draw_plot("title", "caption", paint)
    assert plot.svg.startswith("<svg")
    assert "var(--accent)" in plot.svg
    for placeholder in ("#010101", "#020202", "#030303", "#040404", "date"):
        assert placeholder not in plot.svg


def test_ratings_are_plotted_for_the_available_sources() -> None:
    assert titles(plot_ratings(RATINGS, RELEVANCE)) == ["Expert ratings", "Crowd votes", "Relevance"]
    plots = plot_ratings(CROWD_RATINGS, RELEVANCE)
    assert titles(plots) == ["Crowd votes", "Relevance"]
    assert plots[0].caption == "The crowd rated 2 pairs. 50% of these pairs have no yes votes."


def test_bars_show_the_number_of_ratings_at_each_level() -> None:
    ratings = pd.concat([RATINGS, RATINGS[RATINGS["rating"] == 4]])
    svg = plot_ratings(ratings, RELEVANCE)[0].svg
    assert [svg.count(f">{label}</text>") for label in ("1", "3", "4")] == [4, 1, 1]


def test_agreement_is_plotted_for_pairs_with_several_ratings() -> None:
    plots = plot_agreement(RATINGS)
    assert titles(plots) == ["Expert disagreement", "Crowd votes by expert rating"]
    assert "1 pairs" in plots[0].caption
    assert "Experts and the crowd rated 2 pairs in common" in plots[1].caption
    assert plot_agreement(CROWD_RATINGS) == []


def test_the_model_is_plotted_with_the_available_metrics() -> None:
    plots = plot_model(PREDICTIONS, RATINGS, EVALUATE, {"importance": BLOCKS, "shap": BLOCKS})
    assert titles(plots) == [
        "Agreement with the ratings",
        "Calibration",
        "Predictions by expert rating",
        "Feature importance",
        "SHAP values",
    ]
    assert plots[1].caption.endswith("Expected calibration error: 0.020.")
    assert titles(plot_model(PREDICTIONS, CROWD_RATINGS, {"baselines": None}, {})) == ["Calibration"]
