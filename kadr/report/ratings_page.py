"""The page of the ratings: distributions, agreement, certainty, and photos of the pairs that people dispute."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from kadr.report import plots
from kadr.report.disputes import RatedPair
from kadr.report.metric_rows import Fact
from kadr.report.page import environment
from kadr.report.plots import Plot


@dataclass(frozen=True)
class Row:
    """A named row of a table: column -> what the cell shows."""

    name: str
    cells: Mapping[str, str]


@dataclass(frozen=True)
class RatingsPage:
    """All that the page shows; an empty section is left out."""

    title: str
    headline: Sequence[Fact]
    distributions: Sequence[Plot]
    agreement: Sequence[Plot]
    crowd: Sequence[Row]
    certainty: Sequence[Plot]
    raters: Sequence[Row]
    disputed: Sequence[RatedPair]
    contradicted: Sequence[RatedPair]
    next: Sequence[RatedPair]


def render_ratings_page(page: RatingsPage) -> str:
    """The page as HTML; every text in it is escaped."""
    return environment().get_template("ratings.html.j2").render(page=page)


def headline(figures: Mapping[str, Any]) -> list[Fact]:
    """The tiles: counts and agreement of metrics/aggregate.json."""
    agreed: Mapping[str, Any] = figures.get("agreement") or {}
    found = [Fact(name, f"{figures[key]:,}", "") for name, key in _COUNTS.items() if key in figures]
    found += [Fact(name, f"{figures[key]:,}", note) for name, (key, note) in _PARTS.items() if figures.get(key)]
    for name, (key, note) in _AGREEMENT.items():
        if agreed.get(key) is not None:
            found.append(Fact(name, f"{agreed[key]:.2f}", note))
    for key, value in (agreed.get("sd") or {}).items():
        found.append(Fact(f"± {key.replace('_', ' ')}", f"{value:.2f}", "expected deviation of the relevance"))
    return found


_COUNTS = {"pairs": "n_pairs", "rated by experts": "n_expert_pairs", "rated by the crowd": "n_crowd_pairs"}
_PARTS = {
    "for the CLIP": ("n_clip_pairs", "clip.ratings; not for the model"),
    "in neither part": ("n_pairs_between", "photo and text are of different parts"),
}
_AGREEMENT = {
    "Krippendorff's alpha": ("krippendorff_alpha", "experts, ordinal"),
    "ICC": ("icc", "of one expert rating"),
    "ICC of the mean": ("icc_mean", "of a pair's expert ratings"),
    "overlap of votes": ("crowd_correlation", "correlation beyond the relevance"),
}


def crowd_rows(figures: Mapping[str, Any]) -> list[Row]:
    """Pairs by the experts' level and the crowd's majority."""
    table: Mapping[str, Mapping[str, int]] = (figures.get("agreement") or {}).get("crowd_by_expert") or {}
    return [
        Row(f"experts {level}", {f"crowd {said}": f"{n:,}" for said, n in row.items()}) for level, row in table.items()
    ]


def rater_rows(figures: Mapping[str, Any]) -> list[Row]:
    """What is known of each rater."""
    raters: Mapping[str, Mapping[str, float]] = (figures.get("agreement") or {}).get("raters") or {}
    return [
        Row(
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


def certainty_plots(relevance: pd.DataFrame) -> list[Plot]:
    """The posterior deviation of the pairs, and of those of each kind; none where the method has no deviations.

    Args:
        relevance: columns of schema RELEVANCE.
    """
    known = relevance.dropna(subset="sd")
    if known.empty:
        return []
    caption = f"Posterior standard deviations of {len(known):,} pairs; their weight in training falls with it."
    drawn = [
        plots.draw(
            "Posterior width", caption, plots.histogram(known["sd"].to_numpy(), "sd of relevance", "pairs", _WIDEST)
        )
    ]
    both = (known["n_expert"] > 0) & (known["n_crowd"] > 0)
    kinds = {
        "experts\nagree": known[(known["n_expert"] > 1) & ~both & (known["spread"] < _AGREE)],
        "experts\napart": known[(known["n_expert"] > 1) & ~both & (known["spread"] >= _AGREE)],
        "one\nexpert": known[(known["n_expert"] == 1) & ~both],
        "experts\nand crowd": known[both],
        "crowd\nalone": known[known["n_expert"] == 0],
    }
    groups = {name: group["sd"].to_numpy() for name, group in kinds.items() if len(group)}
    paint = plots.boxes(list(groups), list(groups.values()), "who rated the pair", "sd of relevance", _WIDEST)
    return [*drawn, plots.draw("Width by raters", "Median, quartiles, 5th to 95th percentile.", paint)]


_WIDEST = 0.4  # posterior deviation that the plots reach to; 0.5 would be yes or no at even odds
_AGREE = 0.01  # spread of ratings on 0..1 below which all said the same
