"""Aggregation methods of crowd-kit (Ustalov et al. 2024), which estimate the reliability of each rater.

The methods treat ratings as unordered labels. The relevance of a pair is the mean of its labels, weighted by their
probabilities.
"""

import warnings
from typing import ClassVar

import pandas as pd

from kadr.aggregate.aggregator import Aggregator
from kadr.io.schemas import PAIR


class CrowdKitAggregator(Aggregator):
    """Base of the methods that crowd-kit implements, with crowd-kit's defaults, which are deterministic.

    Attributes:
        algorithm: class name in `crowdkit.aggregation`.
    """

    needs_raters = True
    algorithm: ClassVar[str]

    def fit_predict(self, ratings: pd.DataFrame) -> pd.DataFrame:
        """Return image_id, query_id and relevance of each pair. See `Aggregator.fit_predict`."""
        if ratings.empty:
            return ratings[PAIR].assign(relevance=ratings["unit_rating"])
        from crowdkit import aggregation

        ordered = ratings.sort_values([*PAIR, "rater", "unit_rating"])
        by_pair = ordered.groupby(PAIR, observed=True)
        columns = {"task": by_pair.ngroup(), "worker": ordered["rater"], "label": ordered["unit_rating"]}
        labels = pd.DataFrame(columns).reset_index(drop=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # crowd-kit 1.4 with pandas 3.1
            fitted = getattr(aggregation, self.algorithm)().fit(labels)
            if hasattr(fitted, "skills_"):  # M-MSR and Wawa return skills, not label probabilities
                fitted = aggregation.MajorityVote().fit(labels, skills=fitted.skills_)
        probabilities = fitted.probas_.sort_index()
        relevance = (probabilities * probabilities.columns.to_numpy(dtype=float)).sum(axis=1).to_numpy()
        return by_pair.first().index.to_frame(index=False).assign(relevance=relevance)


class DawidSkene(CrowdKitAggregator):
    """Method `dawid_skene` (Dawid and Skene 1979)."""

    algorithm = "DawidSkene"


class Glad(CrowdKitAggregator):
    """Method `glad` (Whitehill et al. 2009)."""

    algorithm = "GLAD"


class Mace(CrowdKitAggregator):
    """Method `mace` (Hovy et al. 2013)."""

    algorithm = "MACE"


class MMsr(CrowdKitAggregator):
    """Method `m_msr` (Ma and Olshevsky 2020)."""

    algorithm = "MMSR"


class Wawa(CrowdKitAggregator):
    """Method `wawa`, worker agreement with aggregate (Appen)."""

    algorithm = "Wawa"
