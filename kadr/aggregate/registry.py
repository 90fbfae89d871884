"""The aggregate part's methods: how the ratings of a pair become one. A new one is a file and an entry here."""

from collections.abc import Callable
from functools import partial
from typing import Protocol

import pandas as pd

from kadr.aggregate.crowd_kit import ALGORITHMS, CrowdKit
from kadr.aggregate.majority import Majority
from kadr.aggregate.mean import Mean
from kadr.aggregate.median import Median
from kadr.errors import ParamsError

GRADED_RESPONSE = "graded_response"
"""The method that takes experts and crowd together; all others take the experts alone."""


class Aggregator(Protocol):
    """Makes one rating per pair from many, in the manner of crowd-kit."""

    def fit_predict(self, ratings: pd.DataFrame) -> pd.DataFrame:
        """Columns of RATINGS, one row per rating, to image_id, query_id and rating, one row per pair."""
        ...


AGGREGATORS: dict[str, Callable[[], Aggregator]] = {
    "mean": Mean,
    "median": Median,
    "majority": Majority,
    **{name: partial(CrowdKit, name) for name in ALGORITHMS},
}


def choose_aggregator(name: str) -> Aggregator:
    """The method of this name. Raises ParamsError that lists the choices."""
    try:
        return AGGREGATORS[name]()
    except KeyError as error:
        choices = ", ".join([GRADED_RESPONSE, *AGGREGATORS])
        raise ParamsError(f"aggregate.expert: got {name!r}, wanted one of {choices}") from error
