"""Aggregation method `graded_response`."""

import pandas as pd

from kadr.aggregate.aggregator import Aggregator
from kadr.aggregate.graded_response_model import fit_graded_response


class GradedResponse(Aggregator):
    """Posterior mean and standard deviation of the relevance in a joint model of expert and crowd ratings."""

    uses_crowd = True

    def fit_predict(self, ratings: pd.DataFrame) -> pd.DataFrame:
        """Return image_id, query_id, relevance and sd of each pair. See `Aggregator.fit_predict`."""
        self.model_ = fit_graded_response(ratings)
        patterns = self.model_.find_patterns(ratings)
        mean, sd = self.model_.posterior_moments(patterns)
        pattern = patterns.pattern_of_pair
        return patterns.pairs.assign(relevance=mean[pattern], sd=sd[pattern])
