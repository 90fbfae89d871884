"""The aggregate part's method `mean`: every vote counts the same."""

import pandas as pd


class Mean:
    """A pair's rating is the mean of its ratings, weighted by votes."""

    def fit_predict(self, ratings: pd.DataFrame) -> pd.DataFrame:
        """Aggregate.

        Args:
            ratings: image_id, query_id, rating, votes; one row per rating.

        Returns:
            image_id, query_id, rating; one row per pair.
        """
        weighted = ratings.assign(rating=ratings["rating"] * ratings["votes"])
        sums = weighted.groupby(["image_id", "query_id"])[["rating", "votes"]].sum()
        return (sums["rating"] / sums["votes"]).rename("rating").reset_index()
