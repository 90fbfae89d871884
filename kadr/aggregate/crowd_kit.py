"""The aggregate part's methods by crowd-kit (Ustalov et al. 2024): each learns how far every single rater is right.

Dawid-Skene (Dawid and Skene 1979), GLAD (Whitehill et al. 2009), MACE (Hovy et al. 2013), M-MSR (Ma and Olshevsky
2020) and Wawa (Appen). They know labels, not their order, so a pair's rating is the mean of the labels by their
probabilities.
"""

import warnings

import pandas as pd

from kadr.errors import InputError

ALGORITHMS = {"dawid_skene": "DawidSkene", "glad": "GLAD", "mace": "MACE", "m_msr": "MMSR", "wawa": "Wawa"}
"""Name -> crowd-kit's class."""


class CrowdKit:
    """An algorithm of crowd-kit with its own defaults, which are deterministic."""

    def __init__(self, name: str) -> None:
        self.name = name

    def fit_predict(self, ratings: pd.DataFrame) -> pd.DataFrame:
        """Aggregate.

        Args:
            ratings: image_id, query_id, rater, rating; one row per rating, by persons.

        Returns:
            image_id, query_id, rating; one row per pair.

        Raises:
            InputError: where it is unknown who gave a rating.
        """
        self._check_raters(ratings)
        if ratings.empty:
            return ratings[["image_id", "query_id", "rating"]]
        from crowdkit import aggregation

        ordered = ratings.sort_values(["image_id", "query_id", "rater", "rating"])
        by_pair = ordered.groupby(["image_id", "query_id"], observed=True)
        labels = {"task": by_pair.ngroup(), "worker": ordered["rater"], "label": ordered["rating"]}
        answers = pd.DataFrame(labels).reset_index(drop=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # crowd-kit 1.4 under pandas 3.1
            fitted = getattr(aggregation, ALGORITHMS[self.name])().fit(answers)
            if hasattr(fitted, "skills_"):  # M-MSR and Wawa weigh the raters' votes
                fitted = aggregation.MajorityVote().fit(answers, skills=fitted.skills_)
        chances = fitted.probas_.sort_index()
        pairs = by_pair.first().index.to_frame(index=False)
        return pairs.assign(rating=(chances * chances.columns.to_numpy(dtype=float)).sum(axis=1).to_numpy())

    def _check_raters(self, ratings: pd.DataFrame) -> None:
        unknown = int(ratings["rater"].isna().sum())
        if unknown:
            raise InputError(
                f"aggregate.expert: {self.name} learns how far each rater is right, and of {len(ratings):,} expert "
                f"ratings {unknown:,} are by nobody one knows (columns whose rows are sorted are no persons: stage "
                "ingest says so). Give the rater of every rating, or use aggregate.expert: graded_response, "
                "which needs none"
            )
