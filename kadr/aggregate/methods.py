"""The aggregate part's methods: how the ratings of a pair become one. A new one is a file and an entry here."""

from typing import Protocol

import pandas as pd

from kadr.aggregate.mean import Mean
from kadr.aggregate.median import Median
from kadr.errors import ParamsError


class Aggregator(Protocol):
    """Makes one rating per pair from many, in the manner of crowd-kit."""

    def fit_predict(self, ratings: pd.DataFrame) -> pd.DataFrame:
        """Columns of RATINGS, one row per rating, to image_id, query_id and rating, one row per pair."""
        ...


AGGREGATORS: dict[str, type[Aggregator]] = {"mean": Mean, "median": Median}


def choose_aggregator(name: str) -> Aggregator:
    """The method of this name. Raises ParamsError that lists the choices."""
    try:
        return AGGREGATORS[name]()
    except KeyError as error:
        raise ParamsError(f"aggregate.expert: got {name!r}, wanted one of {', '.join(sorted(AGGREGATORS))}") from error
