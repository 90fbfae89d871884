"""Which ratings the public benchmark takes its figures on (Hodosh et al. 2013; CLIPScore, Hessel et al. 2021)."""

import pandas as pd


def expert_pairs(ratings: pd.DataFrame, queries: pd.DataFrame) -> pd.DataFrame:
    """Every expert rating of a pair that is not a photo with a caption of its own: image_id, query_id, rating.

    A pair with three ratings stands in three rows. Where it is unknown for which photo a text was written, it stays.
    """
    expert = ratings.loc[ratings["source"] == "expert", ["image_id", "query_id", "rating"]]
    own = expert["query_id"].map(queries.set_index("query_id")["image_id"])
    return expert[expert["image_id"] != own].reset_index(drop=True)


def crowd_pairs(ratings: pd.DataFrame) -> pd.DataFrame:
    """Every crowd rating: image_id, query_id, rating (share of yes)."""
    return ratings.loc[ratings["source"] == "crowd", ["image_id", "query_id", "rating"]].reset_index(drop=True)


def leave_one_out(expert: pd.DataFrame) -> pd.DataFrame:
    """Each of `expert_pairs`' ratings whose pair has more, beside the mean of the pair's other ratings (`others`)."""
    by_pair = expert.groupby(["image_id", "query_id"])["rating"]
    n_others = by_pair.transform("size") - 1
    others = (by_pair.transform("sum") - expert["rating"]) / n_others.where(n_others > 0)
    return expert.assign(others=others.round(9)).dropna(subset="others").reset_index(drop=True)
