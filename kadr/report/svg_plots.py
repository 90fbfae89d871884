"""Draw plots as inline SVG with colours from CSS variables of the page. The same data produces identical SVG."""

import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatVector = np.ndarray[tuple[int], np.dtype[np.floating[Any]]]
Painter = Callable[["Axes"], None]
"""A function that draws on Matplotlib axes."""

_WIDTH_INCHES = 4.0
_N_BINS = 20
_INK, _FAINT, _ACCENT, _SECOND = "#010101", "#020202", "#030303", "#040404"  # placeholders, replaced by CSS variables
_CSS_VARIABLES = {_INK: "var(--ink)", _FAINT: "var(--faint)", _ACCENT: "var(--accent)", _SECOND: "var(--second)"}
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
    "legend.frameon": False,
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
}


@dataclass(frozen=True)
class SvgPlot:
    """An SVG plot with a title and a caption."""

    title: str
    caption: str
    svg: str


def draw_plot(title: str, caption: str, paint: Painter, height: float = 2.5) -> SvgPlot:
    """Draw a plot that is 4 inches wide.

    Args:
        title: Title of the plot.
        caption: Caption that explains the plot.
        paint: Function that draws on Matplotlib axes.
        height: Height in inches.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({**_STYLE, "svg.hashsalt": title}):
        figure = Figure(figsize=(_WIDTH_INCHES, height), layout="constrained")
        figure.patch.set_alpha(0)
        axes = figure.add_subplot()
        axes.patch.set_alpha(0)
        paint(axes)
        output = io.StringIO()
        figure.savefig(output, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    svg = output.getvalue()
    svg = svg[svg.index("<svg") :]
    for placeholder, variable in _CSS_VARIABLES.items():
        svg = svg.replace(placeholder, variable)
    return SvgPlot(title, caption, svg)


def bar_height(n_bars: int) -> float:
    """Return the height in inches of a plot with `n_bars` horizontal bars."""
    return 1.1 + 0.32 * n_bars


def count_plot(values: Sequence[str], order: Sequence[str], x_label: str, y_label: str, *, percent: bool) -> Painter:
    """Return a function that draws one bar per category, with the count or percentage above each bar.

    Args:
        values: Category of each observation.
        order: Categories from left to right.
        x_label: Label of the horizontal axis.
        y_label: Label of the vertical axis.
        percent: Whether to show percentages of all observations instead of counts.
    """

    def paint(axes: "Axes") -> None:
        import seaborn as sns

        stat = "percent" if percent else "count"
        sns.countplot(x=list(values), order=list(order), stat=stat, color=_ACCENT, saturation=1, ax=axes)
        labels = "{:.1f}" if percent else "{:,.0f}"
        for bars in axes.containers:
            axes.bar_label(bars, fmt=labels, fontsize=8)  # type: ignore[arg-type]
        axes.grid(visible=False, axis="x")
        axes.margins(y=0.12)
        axes.yaxis.set_major_formatter("{x:,.0f}")
        axes.set(xlabel=x_label, ylabel=y_label)

    return paint


def histogram(values: FloatVector, x_label: str, y_label: str, maximum: float = 1.0) -> Painter:
    """Return a function that draws a histogram with 20 bins from 0 to `maximum`."""

    def paint(axes: "Axes") -> None:
        import seaborn as sns

        bins = np.linspace(0, maximum, _N_BINS + 1).tolist()
        sns.histplot(x=values, bins=bins, color=_ACCENT, edgecolor="none", alpha=1, shrink=0.92, ax=axes)
        axes.yaxis.set_major_formatter("{x:,.0f}")
        axes.set(xlabel=x_label, ylabel=y_label, xlim=(0, maximum))

    return paint


def share_bars(shares: Mapping[str, float], x_label: str) -> Painter:
    """Return a function that draws one horizontal bar per share, with the percentage beside each bar."""

    def paint(axes: "Axes") -> None:
        import seaborn as sns

        sns.barplot(
            x=list(shares.values()), y=list(shares), color=_ACCENT, saturation=1, errorbar=None, width=0.7, ax=axes
        )
        for bars in axes.containers:
            axes.bar_label(bars, fmt="{:.0%}", fontsize=8, padding=3)  # type: ignore[arg-type]
        axes.grid(visible=False, axis="y")
        axes.margins(x=0.12)
        axes.set(xlabel=x_label, ylabel="")

    return paint


def box_plot(groups: Mapping[str, FloatVector], x_label: str, y_label: str, maximum: float = 1.0) -> Painter:
    """Return a function that draws one box per group, with whiskers from the 5th to the 95th percentile."""

    def paint(axes: "Axes") -> None:
        import seaborn as sns

        labels = np.repeat(list(groups), [len(group) for group in groups.values()])
        with warnings.catch_warnings():
            # seaborn 0.13 passes an argument that Matplotlib 3.11 deprecates.
            warnings.filterwarnings("ignore", message="vert: bool was deprecated")
            sns.boxplot(
                x=labels,
                y=np.concatenate(list(groups.values())),
                order=list(groups),
                whis=(5, 95),
                showfliers=False,
                width=0.55,
                color=_ACCENT,
                saturation=1,
                linecolor=_INK,
                boxprops={"alpha": 0.55},
                ax=axes,
            )
        axes.grid(visible=False, axis="x")
        axes.set(xlabel=x_label, ylabel=y_label, ylim=(0, maximum))

    return paint


def interval_plot(estimates: Mapping[str, tuple[float, float, float]], x_label: str) -> Painter:
    """Return a function that draws one row per estimate: a point at the value, and a line from `low` to `high`."""

    def paint(axes: "Axes") -> None:
        for row, (value, low, high) in enumerate(estimates.values()):
            colour = _ACCENT if row == 0 else _SECOND
            axes.plot([low, high], [row, row], color=colour, linewidth=2, solid_capstyle="round")
            axes.plot([value], [row], "o", color=colour, markersize=6)
        axes.set_yticks(range(len(estimates)), list(estimates))
        axes.set_ylim(len(estimates) - 0.5, -0.5)
        axes.set(xlabel=x_label)

    return paint


def calibration_plot(scores: FloatVector, relevances: FloatVector, n_groups: int = 10) -> Painter:
    """Return a function that draws a reliability diagram.

    Args:
        scores: (n_pairs,) predicted relevances, 0 to 1.
        relevances: (n_pairs,) rated relevances, 0 to 1.
        n_groups: Number of groups. The pairs are sorted by score and divided into groups of equal size.
    """

    def paint(axes: "Axes") -> None:
        groups = [group for group in np.array_split(np.argsort(scores, kind="stable"), n_groups) if len(group)]
        axes.plot([0, 1], [0, 1], color=_FAINT, linewidth=1, linestyle="--", label="perfect calibration")
        predicted = [scores[group].mean() for group in groups]
        rated = [relevances[group].mean() for group in groups]
        axes.plot(predicted, rated, "o-", color=_ACCENT, markersize=5, label="model")
        axes.legend(loc="upper left")
        axes.set(xlabel="mean predicted relevance", ylabel="mean rated relevance", xlim=(0, 1), ylim=(0, 1))

    return paint
