"""The aggregate part's method `majority`: what most said, however far away the others are."""

import pandas as pd

from kadr.io.schemas import PAIR


class Majority:
    """A pair's rating is the one given most often; where several are, their mean."""

    def fit_predict(self, ratings: pd.DataFrame) -> pd.DataFrame:
        """Aggregate.

        Args:
            ratings: image_id, query_id, rating; one row per rating.

        Returns:
            image_id, query_id, rating; one row per pair.
        """
        count = ratings.groupby([*PAIR, "rating"], observed=True).size().rename("count").reset_index()
        most = count.groupby(PAIR, observed=True)["count"].transform("max")
        return count[count["count"] == most].groupby(PAIR, observed=True)["rating"].mean().reset_index()
