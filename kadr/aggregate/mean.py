"""The `mean` aggregation method: the mean rating of each pair."""

import pandas as pd

from kadr.aggregate.aggregator import Aggregator
from kadr.io.schemas import PAIR


class Mean(Aggregator):
    """Aggregator that returns the mean rating of each pair. Each rating is weighted by its number of votes."""

    def fit_predict(self, ratings: pd.DataFrame) -> pd.DataFrame:
        """Return columns image_id, query_id and relevance, one row per pair. See `Aggregator.fit_predict`."""
        weighted = ratings.assign(unit_rating=ratings["unit_rating"] * ratings["votes"])
        sums = weighted.groupby(PAIR)[["unit_rating", "votes"]].sum()
        return (sums["unit_rating"] / sums["votes"]).rename("relevance").reset_index()
