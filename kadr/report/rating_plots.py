"""The plots of a run: what people said, how far they agree, and how the model's scores lie against it."""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from kadr.io.schemas import PAIR, on_unit
from kadr.report import plots
from kadr.report.metric_rows import COLUMNS, METRICS
from kadr.report.plots import Plot

_LEVELS = 10  # more different ratings than these are no levels to count one by one
_LOOKS = (  # key of metrics/train.json, title, caption, axis
    (
        "importance",
        "What the model looks at",
        "Blocks of features, by LightGBM's gain.",
        "share of the gain of all splits",
    ),
    ("shap", "What moves a prediction", "Blocks of features, by SHAP over rated pairs.", "share of mean |SHAP|"),
)


def rating_plots(ratings: pd.DataFrame, relevance: pd.DataFrame) -> list[Plot]:
    """Distributions of the expert ratings, the crowd's shares and the relevance.

    Args:
        ratings: columns of schema RATINGS.
        relevance: columns of schema RELEVANCE.
    """
    drawn = []
    expert = _of_source(ratings, "expert")
    if len(expert):
        counts = expert["rating"].round(2).value_counts().sort_index()
        if len(counts) <= _LEVELS:
            paint = plots.bars([f"{level:g}" for level in counts.index], counts.tolist(), "rating", "ratings")
        else:
            paint = plots.histogram(expert["unit"].to_numpy(), "rating on 0..1", "ratings")
        drawn.append(plots.draw("Expert ratings", f"{len(expert):,} single ratings by experts.", paint))
    crowd = _of_source(ratings, "crowd")
    if len(crowd):
        share = _crowd_share(crowd)
        none = float((share == 0).mean())
        caption = f"{len(share):,} pairs judged by the crowd; for {none:.0%} of them nobody said yes."
        drawn.append(plots.draw("Crowd votes", caption, plots.histogram(share.to_numpy(), "share of yes", "pairs")))
    caption = f"{len(relevance):,} pairs of photo and text, each with one relevance made of all its ratings."
    paint = plots.histogram(relevance["relevance"].to_numpy(), "relevance", "pairs")
    return [*drawn, plots.draw("Relevance", caption, paint)]


def agreement_plots(ratings: pd.DataFrame) -> list[Plot]:
    """How far the experts of a pair are apart, and what the crowd said beside them; schema RATINGS."""
    expert, crowd = _of_source(ratings, "expert"), _of_source(ratings, "crowd")
    return [*_expert_spread(expert), *_crowd_by_expert(expert, crowd)]


def _expert_spread(expert: pd.DataFrame) -> Iterator[Plot]:
    by_pair = expert.groupby(PAIR)["rating"].agg(["min", "max", "size"])
    several = by_pair[by_pair["size"] > 1]
    apart = (several["max"] - several["min"]).round(2).value_counts(normalize=True).sort_index()
    if len(several) and len(apart) <= _LEVELS:
        paint = plots.bars(
            [f"{step:g}" for step in apart.index], (100 * apart).tolist(), "highest less lowest rating", "% of pairs"
        )
        caption = f"Between the experts of one pair ({len(several):,} pairs); 0 means that all said the same."
        yield plots.draw("Disagreement", caption, paint)


def _crowd_by_expert(expert: pd.DataFrame, crowd: pd.DataFrame) -> Iterator[Plot]:
    if not len(expert) or not len(crowd):
        return
    both = pd.DataFrame({"level": expert.groupby(PAIR)["rating"].median(), "share": _crowd_share(crowd)}).dropna()
    levels = both.groupby(both["level"].round(1))["share"]
    if 0 < levels.ngroups <= _LEVELS:
        groups = {f"{level:g}": share.to_numpy() for level, share in levels}
        paint = plots.boxes(list(groups), list(groups.values()), "median expert rating", "crowd's share of yes")
        yield plots.draw("Crowd against experts", f"{len(both):,} pairs that both judged.", paint)


def model_plots(
    predictions: pd.DataFrame, ratings: pd.DataFrame, evaluate: Mapping[str, Any], train: Mapping[str, Any]
) -> list[Plot]:
    """How the model stands against its baselines and people, whether its scores mean what they say, what it looks at.

    Args:
        predictions: columns of schema PREDICTIONS, out of fold.
        ratings: columns of schema RATINGS.
        evaluate: metrics/evaluate.json.
        train: metrics/train.json; what it has of `importance` and `shap`, both block of features -> share, is drawn.
    """
    scores, relevances = predictions["score"].to_numpy(), predictions["relevance"].to_numpy()
    caption = "Ten equal groups of held-out pairs by their score. On the dashed line a score means what it says."
    if evaluate.get("ece"):
        caption += f" The expected calibration error is {evaluate['ece']['value']:.3f}."
    drawn = [*_standing(evaluate), plots.draw("Calibration", caption, plots.calibration(scores, relevances))]
    drawn += _score_by_rating(predictions, ratings)
    for key, title, caption, label in _LOOKS:
        if train.get(key):
            blocks = dict(sorted(train[key].items(), key=lambda item: (-item[1], item[0])))
            paint = plots.shares(list(blocks), list(blocks.values()), label)
            drawn.append(plots.draw(title, caption, paint, 1.1 + 0.32 * len(blocks)))
    return drawn


def _standing(evaluate: Mapping[str, Any]) -> Iterator[Plot]:
    for key in ("tau_c", "tau_b", "spearman"):
        if not evaluate.get(key):
            continue
        sources = {"model": evaluate, **(evaluate.get("baselines") or {})}
        sources |= {name: evaluate.get(name) or {} for name in ("human", "ceiling")}
        found = {COLUMNS.get(name, name): source[key] for name, source in sources.items() if (source or {}).get(key)}
        figures = [(figure["value"], figure["low"], figure["high"]) for figure in found.values()]
        paint = plots.intervals(list(found), figures, METRICS[key].label)
        caption = f"{METRICS[key].meaning.capitalize()}; bars are bootstrap intervals."
        yield plots.draw("Agreement with people", caption, paint, 1.1 + 0.32 * len(found))
        return


def _score_by_rating(predictions: pd.DataFrame, ratings: pd.DataFrame) -> Iterator[Plot]:
    expert = _of_source(ratings, "expert").merge(predictions, on=PAIR)
    levels = expert.groupby(expert["rating"].round(2))["score"]
    if 0 < levels.ngroups <= _LEVELS:
        groups = {f"{level:g}": score.to_numpy() for level, score in levels}
        paint = plots.boxes(list(groups), list(groups.values()), "expert rating", "predicted relevance")
        caption = "Held-out scores by single expert rating: median, quartiles, 5th to 95th percentile."
        yield plots.draw("Score by rating", caption, paint)


def _of_source(ratings: pd.DataFrame, source: str) -> pd.DataFrame:
    """Ratings of one source, with `unit`: the rating on 0..1."""
    chosen = ratings[ratings["source"] == source]
    return chosen.assign(unit=on_unit(chosen))


def _crowd_share(crowd: pd.DataFrame) -> "pd.Series[float]":
    """Share of yes of each pair over all its votes; index image_id, query_id."""
    voted = crowd.assign(yes=crowd["unit"] * crowd["votes"]).groupby(PAIR)[["yes", "votes"]].sum()
    return voted["yes"] / voted["votes"]
