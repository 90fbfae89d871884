"""Draw the plots of a training run."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_COLOUR, _GREY = "#1f5fa8", "#999999"


def importance_plot(importance: Mapping[str, float]) -> Figure:
    """Draw a bar chart of the feature block importance.

    Args:
        importance: share of the total split gain (0 to 1) of each feature block, by name.
    """
    blocks = sorted(importance, key=lambda block: (importance[block], block))
    figure, axes = _figure("Importance of the feature blocks", 1.2 + 0.35 * len(blocks))
    bars = axes.barh(blocks, [importance[block] for block in blocks], color=_COLOUR)
    axes.bar_label(bars, fmt="%.2f", padding=3)
    axes.set(xlabel="fraction of the total gain of all tree splits", xlim=(0, 1.1))
    return figure


def reliability_plot(reliability: "pd.DataFrame") -> Figure:
    """Draw a reliability diagram: mean observed relevance against mean predicted relevance, by bin.

    Args:
        reliability: one row per bin, with the columns predicted and observed (means, 0 to 1) and n (number of pairs).
    """
    figure, axes = _figure("Reliability, out of fold")
    axes.plot([0, 1], [0, 1], "--", color=_GREY)
    axes.plot(reliability["predicted"], reliability["observed"], "o-", color=_COLOUR)
    axes.set(xlabel="mean predicted relevance", ylabel="mean relevance from ratings", xlim=(0, 1), ylim=(0, 1))
    return figure


def predictions_plot(predictions: "pd.DataFrame") -> Figure:
    """Draw a two-dimensional histogram of relevance and out-of-fold predictions.

    Args:
        predictions: one row per pair, with the columns relevance and score (the prediction), both 0 to 1.
    """
    figure, axes = _figure("Predictions, out of fold")
    counts = axes.hexbin(
        predictions["relevance"], predictions["score"], gridsize=40, extent=(0, 1, 0, 1), bins="log", mincnt=1
    )
    axes.plot([0, 1], [0, 1], "--", color=_GREY)
    axes.set(xlabel="relevance from ratings", ylabel="predicted relevance")
    figure.colorbar(counts, label="number of pairs")
    return figure


def _figure(title: str, height: float = 4.0) -> "tuple[Figure, Axes]":
    """Return a figure and its empty axes. The height is in inches."""
    figure = Figure(figsize=(5.0, height), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes
