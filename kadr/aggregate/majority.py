"""The `majority` aggregation method: the most frequent rating of each pair."""

import pandas as pd

from kadr.aggregate.aggregator import Aggregator
from kadr.aggregate.response_patterns import round_to_levels
from kadr.io.schemas import PAIR


class Majority(Aggregator):
    """Aggregator that returns the most frequent rating of each pair, or the mean of several tied ratings.

    Ratings with more than 11 different values are rounded to multiples of 0.1 of the scale.
    """

    def fit_predict(self, ratings: pd.DataFrame) -> pd.DataFrame:
        """Return columns image_id, query_id and relevance, one row per pair. See `Aggregator.fit_predict`."""
        ratings = ratings.assign(unit_rating=round_to_levels(ratings["unit_rating"]))
        count = ratings.groupby([*PAIR, "unit_rating"], observed=True).size().rename("count").reset_index()
        highest = count.groupby(PAIR, observed=True)["count"].transform("max")
        most_frequent = count[count["count"] == highest].groupby(PAIR, observed=True)["unit_rating"]
        return most_frequent.mean().rename("relevance").reset_index()
