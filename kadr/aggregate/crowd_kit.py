"""Aggregation methods of the crowd-kit package (Ustalov et al. 2024).

These methods estimate the reliability of each rater. They treat ratings as unordered labels and estimate the
probability of each label. The relevance of a pair is the mean of its labels, weighted by their probabilities.
"""

import warnings
from typing import ClassVar

import pandas as pd

from kadr.aggregate.aggregator import Aggregator
from kadr.aggregate.response_patterns import round_to_levels
from kadr.io.schemas import PAIR


class CrowdKitAggregator(Aggregator):
    """Base class for the methods that crowd-kit implements.

    Ratings with more than 11 different values are rounded to multiples of 0.1 of the scale.

    All methods run with the default settings of crowd-kit. Their results are deterministic.

    Attributes:
        algorithm: name of the class in `crowdkit.aggregation`.
    """

    needs_raters = True
    algorithm: ClassVar[str]

    def fit_predict(self, ratings: pd.DataFrame) -> pd.DataFrame:
        """Return columns image_id, query_id and relevance, one row per pair. See `Aggregator.fit_predict`."""
        if ratings.empty:
            return ratings[PAIR].assign(relevance=ratings["unit_rating"])
        from crowdkit import aggregation

        ordered = ratings.sort_values([*PAIR, "rater", "unit_rating"])
        by_pair = ordered.groupby(PAIR, observed=True)
        columns = {
            "task": by_pair.ngroup(),
            "worker": ordered["rater"],
            "label": round_to_levels(ordered["unit_rating"]),
        }
        labels = pd.DataFrame(columns).reset_index(drop=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # raised by crowd-kit 1.4 with pandas 3.1
            fitted = getattr(aggregation, self.algorithm)().fit(labels)
            if hasattr(fitted, "skills_"):  # M-MSR and Wawa estimate rater skills, but no label probabilities
                fitted = aggregation.MajorityVote().fit(labels, skills=fitted.skills_)
        probabilities = fitted.probas_.sort_index()
        relevance = (probabilities * probabilities.columns.to_numpy(dtype=float)).sum(axis=1).to_numpy()
        relevance = relevance.clip(0.0, 1.0)  # the probabilities of DawidSkene may sum to slightly more than 1
        return by_pair.first().index.to_frame(index=False).assign(relevance=relevance)


class DawidSkene(CrowdKitAggregator):
    """The `dawid_skene` aggregation method (Dawid and Skene 1979)."""

    algorithm = "DawidSkene"


class Glad(CrowdKitAggregator):
    """The `glad` aggregation method (Whitehill et al. 2009)."""

    algorithm = "GLAD"


class Mace(CrowdKitAggregator):
    """The `mace` aggregation method (Hovy et al. 2013)."""

    algorithm = "MACE"


class MMsr(CrowdKitAggregator):
    """The `m_msr` aggregation method (Ma and Olshevsky 2020)."""

    algorithm = "MMSR"


class Wawa(CrowdKitAggregator):
    """The `wawa` aggregation method: Worker Agreement with Aggregate (Appen)."""

    algorithm = "Wawa"
