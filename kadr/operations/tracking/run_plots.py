"""Draw the plots of a training run."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_COLOUR, _GREY = "#1f5fa8", "#999999"


def importance_plot(importance: Mapping[str, float]) -> Figure:
    """Draw the importance of each feature block as a bar.

    Args:
        importance: share of the total gain of all splits, 0 to 1, by feature block.
    """
    blocks = sorted(importance, key=lambda block: (importance[block], block))
    figure, axes = _figure("Importance of the feature blocks", 1.2 + 0.35 * len(blocks))
    bars = axes.barh(blocks, [importance[block] for block in blocks], color=_COLOUR)
    axes.bar_label(bars, fmt="%.2f", padding=3)
    axes.set(xlabel="share of the gain of all splits", xlim=(0, 1.1))
    return figure


def reliability_plot(reliability: "pd.DataFrame") -> Figure:
    """Draw a reliability diagram: the mean observed relevance of pairs with similar predictions.

    Args:
        reliability: one row per bin, with the columns predicted, observed (means, 0 to 1) and n.
    """
    figure, axes = _figure("Reliability, out of fold")
    axes.plot([0, 1], [0, 1], "--", color=_GREY)
    axes.plot(reliability["predicted"], reliability["observed"], "o-", color=_COLOUR)
    axes.set(xlabel="mean predicted relevance", ylabel="mean relevance from ratings", xlim=(0, 1), ylim=(0, 1))
    return figure


def predictions_plot(predictions: "pd.DataFrame") -> Figure:
    """Draw the number of pairs by relevance and out-of-fold prediction.

    Args:
        predictions: one row per pair, with the columns relevance and score (0 to 1).
    """
    figure, axes = _figure("Predictions, out of fold")
    counts = axes.hexbin(
        predictions["relevance"], predictions["score"], gridsize=40, extent=(0, 1, 0, 1), bins="log", mincnt=1
    )
    axes.plot([0, 1], [0, 1], "--", color=_GREY)
    axes.set(xlabel="relevance from ratings", ylabel="predicted relevance")
    figure.colorbar(counts, label="pairs")
    return figure


def _figure(title: str, height: float = 4.0) -> "tuple[Figure, Axes]":
    """Return an empty figure of the given height in inches."""
    figure = Figure(figsize=(5.0, height), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes
