"""Find pairs with strong disagreement among the experts, or between the experts and the crowd."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from kadr.io.schemas import PAIR, scale_to_unit
from kadr.report.data_uri import thumbnail_data_uri
from kadr.report.rating_plots import mean_pair_ratings, select_source


@dataclass(frozen=True)
class PairRatings:
    """The image, query text, ratings and aggregated relevance of one pair.

    Attributes:
        thumbnail: Thumbnail of the image, as a data URI.
        image_id: ID of the image.
        text: Text of the query.
        expert: Expert ratings in ascending order.
        crowd: Crowd votes, for example `2 of 4 yes`, or an empty string.
        relevance: Aggregated relevance, 0 to 1.
        sd: Posterior standard deviation of the relevance, or None if unknown.
        low: Relevance minus one standard deviation, at least 0.
        high: Relevance plus one standard deviation, at most 1.
    """

    thumbnail: str
    image_id: str
    text: str
    expert: Sequence[str]
    crowd: str
    relevance: float
    sd: float | None
    low: float
    high: float


def find_expert_disagreement(ratings: pd.DataFrame, n_pairs: int) -> pd.DataFrame:
    """Return the pairs with the largest range of expert ratings, at most one pair per image.

    Args:
        ratings: Ratings with the columns of the schema RATINGS.
        n_pairs: Maximum number of pairs.

    Returns:
        Table with the columns image_id and query_id, sorted by range in descending order.
    """
    by_pair = select_source(ratings, "expert").groupby(PAIR)["rating"]
    deviations = pd.DataFrame({"range": by_pair.max() - by_pair.min(), "sd": by_pair.std(ddof=0)}).query("range > 0")
    return _select_largest(deviations.round(9), ["range", "sd"], n_pairs)


def find_expert_crowd_disagreement(ratings: pd.DataFrame, n_pairs: int) -> pd.DataFrame:
    """Return the pairs with the largest difference between expert ratings and crowd votes: at most one per image.

    The crowd generally gives lower ratings than the experts. This function therefore compares ranks: the rank of a pair
    by mean expert rating, and the rank of the same pair by share of yes votes.

    Args:
        ratings: Ratings with the columns of the schema RATINGS.
        n_pairs: Maximum number of pairs.

    Returns:
        Table with the columns image_id and query_id, sorted by difference in descending order.
    """
    means = pd.DataFrame(
        {source: mean_pair_ratings(select_source(ratings, source)) for source in ("expert", "crowd")}
    ).dropna()
    ranks = means.rank(pct=True)
    differences = (ranks["expert"] - ranks["crowd"]).abs().round(9).rename("difference").to_frame()
    return _select_largest(differences, ["difference"], n_pairs)


def describe_pairs(
    pairs: pd.DataFrame,
    ratings: pd.DataFrame,
    relevance: pd.DataFrame,
    texts: Mapping[str, str],
    paths: Mapping[str, str],
) -> list[PairRatings]:
    """Return the image, text, ratings and relevance of each pair.

    Args:
        pairs: Pairs to describe, with the columns image_id and query_id.
        ratings: Ratings with the columns of the schema RATINGS.
        relevance: Relevance of the pairs, with the columns of the schema RELEVANCE.
        texts: Mapping from query_id to query text.
        paths: Mapping from image_id to the path of the image file.
    """
    ratings_by_pair = dict(list(ratings.merge(pairs[PAIR], on=PAIR).groupby(PAIR)))
    selected = pairs[PAIR].merge(relevance, on=PAIR)
    described = []
    for image_id, query_id, mean, sd in zip(*(selected[name] for name in (*PAIR, "relevance", "sd")), strict=True):
        pair_ratings = ratings_by_pair[image_id, query_id]
        deviation = 0.0 if np.isnan(sd) else float(sd)
        expert = sorted(pair_ratings.loc[pair_ratings["source"] == "expert", "rating"])
        described.append(
            PairRatings(
                thumbnail=thumbnail_data_uri(paths[image_id]),
                image_id=image_id,
                text=texts[query_id],
                expert=[f"{rating:g}" for rating in expert],
                crowd=_format_votes(pair_ratings[pair_ratings["source"] == "crowd"]),
                relevance=float(mean),
                sd=deviation or None,
                low=max(mean - deviation, 0.0),
                high=min(mean + deviation, 1.0),
            )
        )
    return described


def _select_largest(scored: pd.DataFrame, columns: list[str], n_pairs: int) -> pd.DataFrame:
    """Return the pairs with the largest values, at most one pair per image. Sort pairs with equal values by ID."""
    ordered = scored.reset_index().sort_values([*columns, *PAIR], ascending=[False] * len(columns) + [True, True])
    return ordered.drop_duplicates("image_id").head(n_pairs)[PAIR]


def _format_votes(crowd: pd.DataFrame) -> str:
    if crowd.empty:
        return ""
    n_votes, shares = int(crowd["votes"].sum()), scale_to_unit(crowd)
    if n_votes == 1:
        return f"{float(shares.iloc[0]):.0%} yes"
    return f"{round(float((shares * crowd['votes']).sum()))} of {n_votes} yes"
