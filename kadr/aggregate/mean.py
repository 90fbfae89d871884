"""Aggregation method `mean`."""

import pandas as pd

from kadr.aggregate.aggregator import Aggregator
from kadr.io.schemas import PAIR


class Mean(Aggregator):
    """Mean rating of each pair, weighted by votes."""

    def fit_predict(self, ratings: pd.DataFrame) -> pd.DataFrame:
        """Return image_id, query_id and relevance of each pair. See `Aggregator.fit_predict`."""
        weighted = ratings.assign(unit_rating=ratings["unit_rating"] * ratings["votes"])
        sums = weighted.groupby(PAIR)[["unit_rating", "votes"]].sum()
        return (sums["unit_rating"] / sums["votes"]).rename("relevance").reset_index()
