"""Base class of the aggregation methods."""

from abc import ABC, abstractmethod
from typing import ClassVar

import pandas as pd

from kadr.aggregate.graded_response_model import GradedResponseModel


class Aggregator(ABC):
    """Base class of methods that combine the ratings of each pair into one relevance score.

    Any installed package can register a subclass as an entry point of group `kadr.aggregators`. The setting
    `aggregate.expert` in params.yaml selects a method by its entry point name. The class is instantiated without
    arguments.

    Attributes:
        uses_crowd: whether the method aggregates expert and crowd ratings together. If False, the method receives
            expert ratings only, and the crowd's votes are averaged and calibrated separately.
        needs_raters: whether the method requires a rater ID for every expert rating.
        model_: the fitted rating model, or None if the method does not fit one. Rater agreement and the list of pairs
            to rate next are computed from the model.
    """

    uses_crowd: ClassVar[bool] = False
    needs_raters: ClassVar[bool] = False
    model_: GradedResponseModel | None = None

    @abstractmethod
    def fit_predict(self, ratings: pd.DataFrame) -> pd.DataFrame:
        """Aggregate the ratings of each pair.

        Args:
            ratings: one row per rating, with the columns of table RATINGS and `unit_rating`, the rating scaled to 0..1.

        Returns:
            One row per pair, with columns image_id, query_id and relevance (in 0..1). If `uses_crowd` is True, the
            table may also have a column `sd`, the standard deviation of the relevance.
        """
