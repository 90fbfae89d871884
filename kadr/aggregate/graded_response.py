"""The `graded_response` aggregation method, which fits a joint model of expert and crowd ratings."""

import pandas as pd

from kadr.aggregate.aggregator import Aggregator
from kadr.aggregate.graded_response_model import fit_graded_response


class GradedResponse(Aggregator):
    """Aggregator that estimates the relevance of each pair with a joint model of expert and crowd ratings."""

    uses_crowd = True

    def fit_predict(self, ratings: pd.DataFrame) -> pd.DataFrame:
        """Estimate the relevance of each pair and its standard deviation.

        The arguments and the columns of the result are documented in `Aggregator.fit_predict`.
        """
        self.model_ = fit_graded_response(ratings)
        patterns = self.model_.find_patterns(ratings)
        mean, sd = self.model_.posterior_moments(patterns)
        pattern = patterns.pattern_of_pair
        return patterns.pairs.assign(relevance=mean[pattern], sd=sd[pattern])
