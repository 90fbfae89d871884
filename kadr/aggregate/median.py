"""Aggregation method `median`."""

import pandas as pd

from kadr.aggregate.aggregator import Aggregator
from kadr.io.schemas import PAIR


class Median(Aggregator):
    """Median rating of each pair."""

    def fit_predict(self, ratings: pd.DataFrame) -> pd.DataFrame:
        """Return image_id, query_id and relevance of each pair. See `Aggregator.fit_predict`."""
        return ratings.groupby(PAIR)["unit_rating"].median().rename("relevance").reset_index()
