"""The pairs that people dispute, with their photos: experts apart, experts against crowd, and what to rate next."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from kadr.io.schemas import PAIR, on_unit
from kadr.report.examples import photo_address


@dataclass(frozen=True)
class RatedPair:
    """A pair with its photo (a data address), what was said of it, and its relevance with one deviation around it."""

    photo: str
    image_id: str
    text: str
    expert: Sequence[str]
    crowd: str
    relevance: float
    sd: float | None
    low: float
    high: float


def experts_apart(ratings: pd.DataFrame, n: int) -> pd.DataFrame:
    """The n pairs whose experts are farthest apart, one per photo; image_id, query_id.

    Args:
        ratings: columns of RATINGS.
        n: how many.
    """
    by_pair = ratings[ratings["source"] == "expert"].groupby(PAIR)["rating"]
    apart = pd.DataFrame({"range": by_pair.max() - by_pair.min(), "sd": by_pair.std(ddof=0)}).query("range > 0")
    return _first(apart.round(9), ["range", "sd"], n)


def experts_against_crowd(ratings: pd.DataFrame, n: int) -> pd.DataFrame:
    """The n pairs whose experts' mean and crowd's share of yes are farthest apart, as places in their own order.

    A crowd is stricter than experts throughout, so each is ranked among the pairs that both rated.
    """
    sums = ratings.assign(unit=on_unit(ratings) * ratings["votes"]).groupby([*PAIR, "source"])[["unit", "votes"]].sum()
    both = (sums["unit"] / sums["votes"]).unstack("source").reindex(columns=["expert", "crowd"]).dropna()
    rank = both.rank(pct=True)
    far = (rank["expert"] - rank["crowd"]).abs().round(9).rename("far").to_frame()
    return _first(far, ["far"], n)


def _first(scored: pd.DataFrame, by: list[str], n: int) -> pd.DataFrame:
    """The n first pairs by falling score, ties by id, one per photo."""
    ordered = scored.reset_index().sort_values([*by, *PAIR], ascending=[False] * len(by) + [True, True])
    return ordered.drop_duplicates("image_id").head(n)[PAIR]


def with_ratings(
    pairs: pd.DataFrame,
    ratings: pd.DataFrame,
    relevance: pd.DataFrame,
    text_of: Mapping[str, str],
    path_of: Mapping[str, str],
) -> list[RatedPair]:
    """The pairs (image_id, query_id) with what was said of them. Raises InputError where a photo cannot be read."""
    said = dict(list(ratings.merge(pairs[PAIR], on=PAIR).groupby(PAIR)))
    chosen = pairs[PAIR].merge(relevance, on=PAIR)
    found = []
    for image_id, query_id, mean, sd in zip(*(chosen[name] for name in (*PAIR, "relevance", "sd")), strict=True):
        own = said[image_id, query_id]
        around = 0.0 if np.isnan(sd) else float(sd)
        found.append(
            RatedPair(
                photo=photo_address(path_of[image_id]),
                image_id=image_id,
                text=text_of[query_id],
                expert=[f"{rating:g}" for rating in sorted(own.loc[own["source"] == "expert", "rating"])],
                crowd=_votes(own[own["source"] == "crowd"]),
                relevance=float(mean),
                sd=around or None,
                low=max(mean - around, 0.0),
                high=min(mean + around, 1.0),
            )
        )
    return found


def _votes(crowd: pd.DataFrame) -> str:
    if crowd.empty:
        return ""
    n_votes = int(crowd["votes"].sum())
    if n_votes == 1:
        return f"{float(crowd['rating'].iloc[0]):.0%} yes"
    return f"{round(float((crowd['rating'] * crowd['votes']).sum()))} of {n_votes} yes"
