"""The `median` aggregation method: the median rating of each pair."""

import pandas as pd

from kadr.aggregate.aggregator import Aggregator
from kadr.io.schemas import PAIR


class Median(Aggregator):
    """Aggregator that returns the median rating of each pair."""

    def fit_predict(self, ratings: pd.DataFrame) -> pd.DataFrame:
        """Return columns image_id, query_id and relevance, one row per pair. See `Aggregator.fit_predict`."""
        return ratings.groupby(PAIR)["unit_rating"].median().rename("relevance").reset_index()
