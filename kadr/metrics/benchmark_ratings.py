"""Select ratings as in the public Flickr8k benchmark (Hodosh et al. 2013; CLIPScore, Hessel et al. 2021)."""

import pandas as pd

from kadr.io.schemas import PAIR, share_scale


def expert_ratings(ratings: pd.DataFrame, queries: pd.DataFrame) -> pd.DataFrame:
    """Select the expert ratings, except ratings of an image paired with its own caption.

    Args:
        ratings: table with the RATINGS schema.
        queries: table with columns query_id and image_id (ID of the image that the query describes, or null).

    Returns:
        Table with columns image_id, query_id and rating, one row per rating. Ratings on different scales are scaled to
        0..1.
    """
    expert = share_scale(ratings[ratings["source"] == "expert"])[[*PAIR, "rating"]]
    captioned_image = expert["query_id"].map(queries.set_index("query_id")["image_id"])
    return expert[expert["image_id"] != captioned_image].reset_index(drop=True)


def crowd_ratings(ratings: pd.DataFrame) -> pd.DataFrame:
    """Select the crowd ratings.

    Args:
        ratings: table with the RATINGS schema.

    Returns:
        Table with columns image_id, query_id and rating (the share of yes votes).
    """
    return share_scale(ratings[ratings["source"] == "crowd"])[[*PAIR, "rating"]].reset_index(drop=True)


def leave_one_out_ratings(expert: pd.DataFrame) -> pd.DataFrame:
    """Add a column with the mean of the other expert ratings of the same pair.

    Args:
        expert: expert ratings, as returned by `expert_ratings`.

    Returns:
        Table with columns image_id, query_id, rating and others (the mean of the other ratings). Pairs with only one
        rating are excluded.
    """
    by_pair = expert.groupby(PAIR)["rating"]
    n_others = by_pair.transform("size") - 1
    others = (by_pair.transform("sum") - expert["rating"]) / n_others.where(n_others > 0)
    return expert.assign(others=others.round(9)).dropna(subset="others").reset_index(drop=True)
