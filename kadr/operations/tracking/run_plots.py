"""The pictures that a training's MLflow run keeps."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_INK, _FAINT = "#1f5fa8", "#999999"


def importance_plot(importance: Mapping[str, float]) -> Figure:
    """Bars of the share of the trees' gain that each feature block has."""
    blocks = sorted(importance, key=lambda block: (importance[block], block))
    figure, axes = _figure("What the model looks at", 1.2 + 0.35 * len(blocks))
    drawn = axes.barh(blocks, [importance[block] for block in blocks], color=_INK)
    axes.bar_label(drawn, fmt="%.2f", padding=3)
    axes.set(xlabel="share of the gain of all splits", xlim=(0, 1.1))
    return figure


def reliability_plot(reliability: "pd.DataFrame") -> Figure:
    """What people say of pairs that the model gives about the same relevance: columns predicted, observed, n."""
    figure, axes = _figure("Reliability, out of fold")
    axes.plot([0, 1], [0, 1], "--", color=_FAINT)
    axes.plot(reliability["predicted"], reliability["observed"], "o-", color=_INK)
    axes.set(xlabel="mean predicted relevance", ylabel="mean relevance by people", xlim=(0, 1), ylim=(0, 1))
    return figure


def predictions_plot(predictions: "pd.DataFrame") -> Figure:
    """Every pair's out-of-fold score against people's relevance, as counts; columns relevance, score."""
    figure, axes = _figure("Predictions, out of fold")
    counts = axes.hexbin(
        predictions["relevance"], predictions["score"], gridsize=40, extent=(0, 1, 0, 1), bins="log", mincnt=1
    )
    axes.plot([0, 1], [0, 1], "--", color=_FAINT)
    axes.set(xlabel="relevance by people", ylabel="predicted relevance")
    figure.colorbar(counts, label="pairs")
    return figure


def _figure(title: str, height: float = 4.0) -> "tuple[Figure, Axes]":
    figure = Figure(figsize=(5.0, height), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes
