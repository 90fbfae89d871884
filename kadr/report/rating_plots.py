"""Plots about the ratings: distributions, disagreement among the experts, and experts compared with the crowd."""

from collections.abc import Iterator

import pandas as pd

from kadr.io.schemas import PAIR, scale_to_unit, share_scale
from kadr.report.svg_plots import FloatVector, SvgPlot, box_plot, count_plot, draw_plot, histogram

MAX_LEVELS = 11
"""Maximum number of distinct ratings that a plot shows as separate levels."""

BOX_LEGEND = "Line: median. Box: quartiles. Whiskers: 5th to 95th percentile."


def plot_ratings(ratings: pd.DataFrame, relevance: pd.DataFrame) -> list[SvgPlot]:
    """Plot the distributions of the expert ratings, the crowd votes and the relevance.

    Args:
        ratings: Ratings with the columns of the schema RATINGS.
        relevance: Relevance of the pairs, with the columns of the schema RELEVANCE.
    """
    plots = [*_plot_expert_ratings(select_source(ratings, "expert")), *_plot_crowd(select_source(ratings, "crowd"))]
    caption = f"{len(relevance):,} pairs of an image and a query. The relevance of a pair combines all of its ratings."
    paint = histogram(relevance["relevance"].to_numpy(), "relevance", "pairs")
    return [*plots, draw_plot("Relevance", caption, paint)]


def plot_agreement(ratings: pd.DataFrame) -> list[SvgPlot]:
    """Plot the disagreement among the experts, and the crowd votes grouped by expert rating.

    Args:
        ratings: Ratings with the columns of the schema RATINGS.
    """
    expert, crowd = select_source(ratings, "expert"), select_source(ratings, "crowd")
    return [*_plot_disagreement(expert), *_plot_crowd_by_expert(expert, crowd)]


def select_source(ratings: pd.DataFrame, source: str) -> pd.DataFrame:
    """Return the ratings of one source, and add the column `unit_rating`, which contains the ratings scaled to 0..1.

    If the ratings are on different scales, the column `rating` is scaled to 0..1, too.
    """
    selected = share_scale(ratings[ratings["source"] == source])
    return selected.assign(unit_rating=scale_to_unit(selected))


def mean_pair_ratings(ratings: pd.DataFrame) -> "pd.Series[float]":
    """Return the mean rating of each pair, weighted by the number of votes.

    Args:
        ratings: Ratings with the columns of the schema RATINGS and the additional column `unit_rating`.

    Returns:
        Mean ratings, 0 to 1, indexed by image_id and query_id. For crowd votes, the mean is the
        share of yes votes.
    """
    weighted = ratings.assign(total=ratings["unit_rating"] * ratings["votes"])
    sums = weighted.groupby(PAIR)[["total", "votes"]].sum()
    return sums["total"] / sums["votes"]


def group_by_level(values: "pd.Series[float]", levels: "pd.Series[float]") -> dict[str, FloatVector]:
    """Group the values by rating level. Return an empty dict if there are more than MAX_LEVELS levels."""
    groups = values.groupby(levels)
    return {f"{level:g}": group.to_numpy() for level, group in groups} if groups.ngroups <= MAX_LEVELS else {}


def _plot_expert_ratings(expert: pd.DataFrame) -> Iterator[SvgPlot]:
    if expert.empty:
        return
    ratings = expert["rating"].round(2)
    levels = sorted(ratings.unique())
    if len(levels) <= MAX_LEVELS:
        values, order = [f"{rating:g}" for rating in ratings], [f"{level:g}" for level in levels]
        paint = count_plot(values, order, "expert rating", "ratings", percent=False)
        caption = f"Number of individual expert ratings at each level ({len(expert):,} ratings)."
    else:
        paint = histogram(expert["unit_rating"].to_numpy(), "expert rating, scaled to 0..1", "ratings")
        caption = f"Distribution of individual expert ratings ({len(expert):,} ratings)."
    yield draw_plot("Expert ratings", caption, paint)


def _plot_crowd(crowd: pd.DataFrame) -> Iterator[SvgPlot]:
    if crowd.empty:
        return
    shares = mean_pair_ratings(crowd)
    no_yes = float((shares == 0).mean())
    caption = f"The crowd rated {len(shares):,} pairs. {no_yes:.0%} of these pairs have no yes votes."
    yield draw_plot("Crowd votes", caption, histogram(shares.to_numpy(), "share of yes votes", "pairs"))


def _plot_disagreement(expert: pd.DataFrame) -> Iterator[SvgPlot]:
    by_pair = expert.groupby(PAIR)["rating"].agg(["min", "max", "size"])
    by_pair = by_pair[by_pair["size"] > 1]
    ranges = (by_pair["max"] - by_pair["min"]).round(2)
    levels = sorted(ranges.unique())
    if levels and len(levels) <= MAX_LEVELS:
        values, order = [f"{value:g}" for value in ranges], [f"{level:g}" for level in levels]
        paint = count_plot(values, order, "highest minus lowest expert rating", "% of pairs", percent=True)
        caption = (
            f"Range of the expert ratings of each pair ({len(by_pair):,} pairs). The range is 0 if all experts agree."
        )
        yield draw_plot("Expert disagreement", caption, paint)


def _plot_crowd_by_expert(expert: pd.DataFrame, crowd: pd.DataFrame) -> Iterator[SvgPlot]:
    if expert.empty or crowd.empty:
        return
    medians = expert.groupby(PAIR)["rating"].median()
    pairs = pd.DataFrame({"level": medians, "share": mean_pair_ratings(crowd)}).dropna()
    groups = group_by_level(pairs["share"], pairs["level"].round(1))
    if groups:
        paint = box_plot(groups, "median expert rating", "share of yes votes")
        caption = f"Experts and the crowd rated {len(pairs):,} pairs in common. {BOX_LEGEND}"
        yield draw_plot("Crowd votes by expert rating", caption, paint)
