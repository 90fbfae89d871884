"""The ratings report: distributions, agreement, uncertainty, raters and disputed pairs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from kadr.report.disputed_pairs import PairRatings
from kadr.report.named_value import NamedValue
from kadr.report.rating_plots import BOX_LEGEND
from kadr.report.svg_plots import SvgPlot, box_plot, draw_plot, histogram
from kadr.report.templates import load_templates

_MAX_SD = 0.4  # upper limit of the axes; the largest possible standard deviation of a relevance is 0.5
_AGREEMENT_SPREAD = 0.01
_COUNTS = {  # displayed name -> key in metrics/aggregate.json
    "pairs": "n_pairs",
    "rated by experts": "n_expert_pairs",
    "rated by the crowd": "n_crowd_pairs",
}
_OPTIONAL_COUNTS = {  # displayed name -> key in metrics/aggregate.json, note
    "for CLIP training": ("n_clip_pairs", "reserved by clip.ratings; the relevance model does not use these pairs"),
    "unused": ("n_pairs_between", "only the image or only the query is reserved for CLIP training"),
}
_AGREEMENT_VALUES = {  # displayed name -> key of `agreement` in metrics/aggregate.json, note
    "Krippendorff's alpha": ("krippendorff_alpha", "experts, ordinal scale"),
    "ICC": ("icc", "reliability of one expert rating"),
    "ICC of the mean": ("icc_mean", "reliability of the mean expert rating of a pair"),
    "vote correlation": ("crowd_correlation", "correlation of crowd votes on the same pair, given its relevance"),
}
_SD_NAMES = {"before": "without ratings"}


@dataclass(frozen=True)
class RatingTableRow:
    """A table row: its name, and a mapping from the name of each column to the text of the cell."""

    name: str
    cells: Mapping[str, str]


@dataclass(frozen=True)
class RatingsPage:
    """Contents of the ratings report. The page omits empty sections."""

    title: str
    summary: Sequence[NamedValue]
    distributions: Sequence[SvgPlot]
    agreement: Sequence[SvgPlot]
    crowd_votes: Sequence[RatingTableRow]
    uncertainty: Sequence[SvgPlot]
    raters: Sequence[RatingTableRow]
    expert_disagreement: Sequence[PairRatings]
    expert_crowd_disagreement: Sequence[PairRatings]
    rate_next: Sequence[PairRatings]


def render_ratings_page(page: RatingsPage) -> str:
    """Render the ratings report as HTML. All text is escaped."""
    return load_templates().get_template("ratings_page.html.j2").render(page=page)


def summarise_ratings(metrics: Mapping[str, Any]) -> list[NamedValue]:
    """Return the pair counts and the agreement metrics of the raters.

    Args:
        metrics: Contents of metrics/aggregate.json.
    """
    agreement: Mapping[str, Any] = metrics.get("agreement") or {}
    values = [NamedValue(name, f"{metrics[key]:,}", "") for name, key in _COUNTS.items() if key in metrics]
    values += [
        NamedValue(name, f"{metrics[key]:,}", note)
        for name, (key, note) in _OPTIONAL_COUNTS.items()
        if metrics.get(key)
    ]
    values += [
        NamedValue(name, f"{agreement[key]:.2f}", note)
        for name, (key, note) in _AGREEMENT_VALUES.items()
        if agreement.get(key) is not None
    ]
    values += [
        NamedValue(f"SD {_SD_NAMES.get(name, name.replace('_', ' '))}", f"{sd:.2f}", "expected SD of the relevance")
        for name, sd in (agreement.get("sd") or {}).items()
    ]
    return values


def make_crowd_rows(metrics: Mapping[str, Any]) -> list[RatingTableRow]:
    """Return one row per mean expert rating. Each row counts the pairs by the majority vote of the crowd.

    Args:
        metrics: Contents of metrics/aggregate.json.
    """
    table: Mapping[str, Mapping[str, int]] = (metrics.get("agreement") or {}).get("crowd_by_expert") or {}
    return [
        RatingTableRow(level, {f"crowd {majority}": f"{n:,}" for majority, n in counts.items()})
        for level, counts in table.items()
    ]


def make_rater_rows(metrics: Mapping[str, Any]) -> list[RatingTableRow]:
    """Return one row per rater, with the number of ratings, leniency, lapses and noise.

    Args:
        metrics: Contents of metrics/aggregate.json.
    """
    raters: Mapping[str, Mapping[str, float]] = (metrics.get("agreement") or {}).get("raters") or {}
    return [
        RatingTableRow(
            name,
            {
                "ratings": f"{rater['n_ratings']:,}",
                "leniency": f"{rater['leniency']:+.2f}",
                "lapses": f"{rater['lapses']:.2f}",
                "noise": f"{rater['noise']:.2f}",
            },
        )
        for name, rater in raters.items()
    ]


def plot_uncertainty(relevance: pd.DataFrame) -> list[SvgPlot]:
    """Plot the posterior standard deviation of the relevance for all pairs and for each group of raters.

    Args:
        relevance: Relevance of the pairs, with the columns of the schema RELEVANCE. If all standard deviations are
            missing, the function returns an empty list.
    """
    pairs = relevance.dropna(subset="sd")
    if pairs.empty:
        return []
    caption = (
        f"{len(pairs):,} pairs. SD: posterior standard deviation. A pair with a small SD has a large training weight."
    )
    paint = histogram(pairs["sd"].to_numpy(), "SD of the relevance", "pairs", _MAX_SD)
    all_pairs = draw_plot("Uncertainty of the relevance", caption, paint)
    groups = {name: group["sd"].to_numpy() for name, group in _group_by_raters(pairs).items() if len(group)}
    paint = box_plot(groups, "raters of the pair", "SD of the relevance", _MAX_SD)
    return [all_pairs, draw_plot("Uncertainty by raters", f"SD: posterior standard deviation. {BOX_LEGEND}", paint)]


def _group_by_raters(pairs: pd.DataFrame) -> dict[str, pd.DataFrame]:
    with_crowd = (pairs["n_expert"] > 0) & (pairs["n_crowd"] > 0)
    several_experts = (pairs["n_expert"] > 1) & ~with_crowd
    return {
        "experts\nagree": pairs[several_experts & (pairs["spread"] < _AGREEMENT_SPREAD)],
        "experts\ndisagree": pairs[several_experts & (pairs["spread"] >= _AGREEMENT_SPREAD)],
        "one\nexpert": pairs[(pairs["n_expert"] == 1) & ~with_crowd],
        "experts\nand crowd": pairs[with_crowd],
        "crowd\nalone": pairs[pairs["n_expert"] == 0],
    }
