"""LightGBM as the learner: relevance 0..1 from a feature matrix, deterministic for a seed and a number of threads."""

from typing import TYPE_CHECKING, Any

import numpy as np

from kadr.errors import ModelError
from kadr.io.embeddings import Rows, Vectors
from kadr.params import TrainParams

if TYPE_CHECKING:
    import lightgbm as lgb

_HUBER = 0.3  # where Huber's loss bends, in relevance: errors above it count by their size, not its square
_FEW = 10_000  # rows that one thread predicts as fast: threads that wait for each other cost more

Scores = np.ndarray[tuple[int], np.dtype[np.float64]]


class Learner:
    """Trains boosters on rows of one feature matrix, whose histogram bins are made once and shared by all folds.

    Args:
        values: (n_pairs, n_features) float32.
        relevance: (n_pairs,) in 0..1. LightGBM's cross-entropy takes it as the probability of a yes.
        weight: (n_pairs,) > 0.
        params: trees and their limits.
        seed: of bagging and of feature sampling.
    """

    def __init__(self, values: Vectors, relevance: Scores, weight: Scores, params: TrainParams, seed: int) -> None:
        import lightgbm as lgb

        self._values = values
        self._settings = _settings(params, seed)
        self._n_estimators = params.n_estimators
        self._bins = lgb.Dataset(
            values, relevance, weight=weight, params=self._settings, free_raw_data=False
        ).construct()

    def fit(self, rows: Rows) -> "lgb.Booster":
        """A booster trained on these rows. Raises ModelError where there is none."""
        import lightgbm as lgb

        if not len(rows):
            raise ModelError("no pair to train on; lower train.image_folds and train.query_folds, or add ratings")
        return lgb.train(self._settings, self._bins.subset(rows.tolist()), num_boost_round=self._n_estimators)

    def fit_predict(self, train: Rows, test: Rows) -> Scores:
        """Scores 0..1 of the test rows by a booster trained on the training rows."""
        return predict(self.fit(train), self._values[test])


def predict(booster: "lgb.Booster", values: Vectors) -> Scores:
    """Scores of (n, n_features) float32 rows; (n,) float64, cut to 0..1, which some losses leave."""
    if not len(values):
        return np.empty(0)
    threads: dict[str, Any] = {"num_threads": 1} if len(values) <= _FEW else {}
    return np.clip(np.asarray(booster.predict(values, **threads), dtype=np.float64), 0, 1)


def _settings(params: TrainParams, seed: int) -> dict[str, object]:
    return {
        "objective": params.objective,
        "alpha": _HUBER,
        "learning_rate": params.learning_rate,
        "num_leaves": params.num_leaves,
        "min_data_in_leaf": params.min_data_in_leaf,
        "feature_fraction": params.feature_fraction,
        "bagging_fraction": params.bagging_fraction,
        "bagging_freq": 1,
        "lambda_l2": params.lambda_l2,
        "max_bin": params.max_bin,
        "num_threads": params.num_threads,
        "seed": seed,
        "deterministic": True,
        "force_col_wise": True,
        "feature_pre_filter": False,
        "verbosity": -1,
    }
