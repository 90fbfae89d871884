"""The `majority` aggregation method: the most frequent rating of each pair."""

import pandas as pd

from kadr.aggregate.aggregator import Aggregator
from kadr.io.schemas import PAIR


class Majority(Aggregator):
    """Aggregator that returns the most frequent rating of each pair, or the mean of several tied ratings."""

    def fit_predict(self, ratings: pd.DataFrame) -> pd.DataFrame:
        """Return columns image_id, query_id and relevance, one row per pair. See `Aggregator.fit_predict`."""
        count = ratings.groupby([*PAIR, "unit_rating"], observed=True).size().rename("count").reset_index()
        highest = count.groupby(PAIR, observed=True)["count"].transform("max")
        most_frequent = count[count["count"] == highest].groupby(PAIR, observed=True)["unit_rating"]
        return most_frequent.mean().rename("relevance").reset_index()
