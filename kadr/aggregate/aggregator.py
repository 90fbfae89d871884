"""The interface of aggregation methods."""

from abc import ABC, abstractmethod
from typing import ClassVar

import pandas as pd

from kadr.aggregate.graded_response_model import GradedResponseModel


class Aggregator(ABC):
    """An aggregation method: it combines the ratings of each pair into one relevance.

    A method is registered as an entry point of group `kadr.aggregators`, by kadr or by any other package, and selected
    with `aggregate.expert` in params.yaml. The class is created without arguments.

    Attributes:
        uses_crowd: whether the method aggregates expert and crowd ratings together. A method without this receives
            expert ratings only, and the crowd's votes are averaged and calibrated separately.
        needs_raters: whether every expert rating needs a rater ID.
        model_: the fitted model, if the method fits one. Rater agreement and the next ratings are derived from it.
    """

    uses_crowd: ClassVar[bool] = False
    needs_raters: ClassVar[bool] = False
    model_: GradedResponseModel | None = None

    @abstractmethod
    def fit_predict(self, ratings: pd.DataFrame) -> pd.DataFrame:
        """Aggregate ratings.

        Args:
            ratings: columns of RATINGS and `unit_rating`, the rating on 0..1; one row per rating.

        Returns:
            One row per pair: image_id, query_id and relevance, in 0..1. If `uses_crowd`, an optional column `sd`
            contains the standard deviation of the relevance.
        """
