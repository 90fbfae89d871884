"""LightGBM regression trees. The results are reproducible for a fixed seed and number of threads."""

from typing import TYPE_CHECKING, Any

import numpy as np

from kadr.errors import ModelError
from kadr.io.embeddings import Rows, Vectors
from kadr.params import TrainParams

if TYPE_CHECKING:
    import lightgbm as lgb

_HUBER_ALPHA = 0.3  # the objective huber penalises errors above this value linearly
_SINGLE_THREAD_ROWS = 10_000  # up to this number of rows, one thread predicts faster than several

Scores = np.ndarray[tuple[int], np.dtype[np.float64]]


class Learner:
    """Train LightGBM boosters on selected rows of a feature matrix. All boosters use the same histogram bins.

    Args:
        values: (n_pairs, n_features) float32, the feature matrix.
        relevance: (n_pairs,) relevance in 0..1, the target of the regression.
        weight: (n_pairs,) positive weight of each pair.
        params: settings of the trees.
        seed: random seed for bagging and feature sampling.
    """

    def __init__(self, values: Vectors, relevance: Scores, weight: Scores, params: TrainParams, seed: int) -> None:
        import lightgbm as lgb

        self._values = values
        self._settings = _lightgbm_settings(params, seed)
        self._n_estimators = params.n_estimators
        self._dataset = lgb.Dataset(
            values, relevance, weight=weight, params=self._settings, free_raw_data=False
        ).construct()

    def fit(self, rows: Rows) -> "lgb.Booster":
        """Train a booster.

        Args:
            rows: rows of the training pairs in the feature matrix.

        Raises:
            ModelError: `rows` is empty.
        """
        import lightgbm as lgb

        if not len(rows):
            raise ModelError(
                "No pairs are left for training. Increase train.image_folds and train.query_folds, or add ratings."
            )
        return lgb.train(self._settings, self._dataset.subset(rows.tolist()), num_boost_round=self._n_estimators)

    def fit_predict(self, train: Rows, test: Rows) -> Scores:
        """Train a booster and predict the relevance of the test pairs.

        Args:
            train: rows of the training pairs in the feature matrix.
            test: rows of the test pairs in the feature matrix.

        Returns:
            (n_test,) float64 in 0..1.

        Raises:
            ModelError: `train` is empty.
        """
        return predict(self.fit(train), self._values[test])


def predict(booster: "lgb.Booster", values: Vectors) -> Scores:
    """Predict the relevance of n pairs.

    Args:
        booster: trained trees.
        values: (n, n_features) float32, the feature matrix of the pairs.

    Returns:
        (n,) float64. Predictions are clipped to 0..1, because the trees can predict values outside this range.
    """
    if not len(values):
        return np.empty(0)
    threads: dict[str, Any] = {"num_threads": 1} if len(values) <= _SINGLE_THREAD_ROWS else {}
    return np.clip(np.asarray(booster.predict(values, **threads), dtype=np.float64), 0, 1)


def _lightgbm_settings(params: TrainParams, seed: int) -> dict[str, object]:
    return {
        "objective": params.objective,
        "alpha": _HUBER_ALPHA,
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
