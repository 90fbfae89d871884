"""Base class for aggregation methods."""

from abc import ABC, abstractmethod
from typing import ClassVar

import pandas as pd

from kadr.aggregate.graded_response_model import GradedResponseModel


class Aggregator(ABC):
    """Base class for methods that combine the ratings of each pair into one relevance score.

    Any installed package can register a subclass as an entry point in the group `kadr.aggregators`. The setting
    `aggregate.expert` in params.yaml selects a method by its entry point name. kadr creates the aggregator by calling
    the class without arguments.

    Attributes:
        uses_crowd: whether the method aggregates expert and crowd ratings together. If False, the method receives
            expert ratings only, and the crowd's votes are averaged and calibrated separately.
        needs_raters: whether the method requires a rater ID for every expert rating.
        model_: the fitted rating model, or None if the method does not fit one. The model is used to measure rater
            agreement and to select the pairs to rate next.
    """

    uses_crowd: ClassVar[bool] = False
    needs_raters: ClassVar[bool] = False
    model_: GradedResponseModel | None = None

    @abstractmethod
    def fit_predict(self, ratings: pd.DataFrame) -> pd.DataFrame:
        """Aggregate the ratings of each pair.

        Args:
            ratings: one row per rating, with the columns of the RATINGS schema and a column `unit_rating` with the
                rating scaled to 0..1.

        Returns:
            One row per pair, with columns image_id, query_id and relevance (in 0..1). If `uses_crowd` is True, the
            table may also have a column `sd` with the standard deviation of the relevance.
        """
