"""Plots as inline SVG: no fixed colours (the page's theme gives them), no date, the same bytes every time."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Numbers = np.ndarray[tuple[int], np.dtype[np.floating[Any]]]

_INK, _FAINT, _ACCENT, _SECOND = "#010101", "#020202", "#030303", "#040404"  # stand for the page's colours
_THEME = {_INK: "var(--ink)", _FAINT: "var(--faint)", _ACCENT: "var(--accent)", _SECOND: "var(--second)"}
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.edgecolor": _FAINT,
    "axes.labelcolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": _FAINT,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.6,
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
}


@dataclass(frozen=True)
class Plot:
    """A picture with its title and the sentence that says what to see in it."""

    title: str
    caption: str
    svg: str


def draw(title: str, caption: str, paint: Callable[["Axes"], None], height: float = 2.5) -> Plot:
    """Make a plot of what `paint` draws into its axes; 4 inches wide, `height` inches high."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({**_STYLE, "svg.hashsalt": title}):
        figure = Figure(figsize=(4.0, height), layout="constrained")
        figure.patch.set_alpha(0)
        axes = figure.add_subplot()
        axes.patch.set_alpha(0)
        paint(axes)
        written = io.StringIO()
        figure.savefig(written, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    svg = written.getvalue()
    svg = svg[svg.index("<svg") :]
    for stand_in, colour in _THEME.items():
        svg = svg.replace(stand_in, colour)
    return Plot(title, caption, svg)


def bars(labels: Sequence[str], heights: Sequence[float], x_label: str, y_label: str) -> Callable[["Axes"], None]:
    """Painter of one bar per label, each with its value above it."""

    def paint(axes: "Axes") -> None:
        drawn = axes.bar(range(len(labels)), heights, color=_ACCENT, width=0.8)
        axes.bar_label(drawn, [f"{height:,.0f}" if height >= 10 else f"{height:.2g}" for height in heights], fontsize=8)
        axes.set_xticks(range(len(labels)), labels)
        axes.grid(visible=False, axis="x")
        axes.margins(y=0.12)
        axes.set(xlabel=x_label, ylabel=y_label)

    return paint


def histogram(values: Numbers, x_label: str, y_label: str, highest: float = 1.0) -> Callable[["Axes"], None]:
    """Painter of how many of the values 0..highest fall into each twentieth."""

    def paint(axes: "Axes") -> None:
        axes.hist(values, bins=np.linspace(0, highest, 21).tolist(), color=_ACCENT, rwidth=0.92)
        axes.set(xlabel=x_label, ylabel=y_label, xlim=(0, highest))

    return paint


def shares(labels: Sequence[str], values: Sequence[float], x_label: str) -> Callable[["Axes"], None]:
    """Painter of one horizontal bar per label, the first on top."""

    def paint(axes: "Axes") -> None:
        drawn = axes.barh(range(len(labels)), values, color=_ACCENT, height=0.7)
        axes.bar_label(drawn, [f" {value:.0%}" for value in values], fontsize=8)
        axes.set_yticks(range(len(labels)), labels)
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.margins(x=0.12)
        axes.set(xlabel=x_label)

    return paint


def intervals(
    labels: Sequence[str], figures: Sequence[tuple[float, float, float]], x_label: str
) -> Callable[["Axes"], None]:
    """Painter of one (value, low, high) per label as a point with its interval, the first on top."""

    def paint(axes: "Axes") -> None:
        for at, (value, low, high) in enumerate(figures):
            colour = _ACCENT if at == 0 else _SECOND
            axes.plot([low, high], [at, at], color=colour, linewidth=2, solid_capstyle="round")
            axes.plot([value], [at], "o", color=colour, markersize=6)
        axes.set_yticks(range(len(labels)), labels)
        axes.set_ylim(len(labels) - 0.5, -0.5)
        axes.set(xlabel=x_label)

    return paint


def calibration(scores: Numbers, relevances: Numbers, n_bins: int = 10) -> Callable[["Axes"], None]:
    """Painter of the mean relevance of pairs in `n_bins` equal groups by their score; the line is a perfect match."""

    def paint(axes: "Axes") -> None:
        groups = [group for group in np.array_split(np.argsort(scores, kind="stable"), n_bins) if len(group)]
        axes.plot([0, 1], [0, 1], color=_FAINT, linewidth=1, linestyle="--")
        said = [scores[group].mean() for group in groups]
        axes.plot(said, [relevances[group].mean() for group in groups], "o-", color=_ACCENT, markersize=5)
        axes.set(xlabel="predicted relevance", ylabel="relevance by people", xlim=(0, 1), ylim=(0, 1))

    return paint


def boxes(
    labels: Sequence[str], groups: Sequence[Numbers], x_label: str, y_label: str, highest: float = 1.0
) -> Callable[["Axes"], None]:
    """Painter of the spread of each group: median, quartiles, and the 5th and 95th percentile."""

    def paint(axes: "Axes") -> None:
        line = {"color": _INK}
        axes.boxplot(
            list(groups),
            whis=(5, 95),
            showfliers=False,
            widths=0.55,
            patch_artist=True,
            boxprops={"facecolor": _ACCENT, "edgecolor": _INK, "alpha": 0.55},
            whiskerprops=line,
            capprops=line,
            medianprops=line,
        )
        axes.set_xticks(range(1, len(labels) + 1), labels)
        axes.grid(visible=False, axis="x")
        axes.set(xlabel=x_label, ylabel=y_label, ylim=(0, highest))

    return paint
