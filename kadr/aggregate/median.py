"""The aggregate part's method `median`: one careless rater does not move it."""

import pandas as pd


class Median:
    """A pair's rating is the median of its ratings; votes are not looked at, for each expert rating is one person's."""

    def fit_predict(self, ratings: pd.DataFrame) -> pd.DataFrame:
        """Aggregate.

        Args:
            ratings: image_id, query_id, rating; one row per rating.

        Returns:
            image_id, query_id, rating; one row per pair.
        """
        return ratings.groupby(["image_id", "query_id"])["rating"].median().reset_index()
