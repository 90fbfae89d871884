"""LightGBM regression of the relevance. Results are reproducible for a given seed and number of threads."""

from typing import TYPE_CHECKING, Any

import numpy as np

from kadr.errors import ModelError
from kadr.io.embeddings import Rows, Vectors
from kadr.params import TrainParams

if TYPE_CHECKING:
    import lightgbm as lgb

_HUBER_ALPHA = 0.3  # errors above this relevance difference are penalised linearly by the objective huber
_SINGLE_THREAD_ROWS = 10_000  # with fewer rows, one thread predicts faster than several

Scores = np.ndarray[tuple[int], np.dtype[np.float64]]


class Learner:
    """Trains boosters on subsets of one feature matrix. All boosters share one set of histogram bins.

    Args:
        values: (n_pairs, n_features) float32.
        relevance: (n_pairs,) in 0..1. The objective cross_entropy uses it as a probability.
        weight: (n_pairs,) positive.
        params: settings of the trees.
        seed: random seed of bagging and feature sampling.
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
        """Train a booster on the given rows.

        Raises:
            ModelError: `rows` is empty.
        """
        import lightgbm as lgb

        if not len(rows):
            raise ModelError(
                "No pair is left for training. Lower train.image_folds and train.query_folds, or add ratings."
            )
        return lgb.train(self._settings, self._dataset.subset(rows.tolist()), num_boost_round=self._n_estimators)

    def fit_predict(self, train: Rows, test: Rows) -> Scores:
        """Train on the rows `train` and return the scores of the rows `test`, in 0..1."""
        return predict(self.fit(train), self._values[test])


def predict(booster: "lgb.Booster", values: Vectors) -> Scores:
    """Predict the relevance.

    Args:
        booster: trained trees.
        values: (n, n_features) float32.

    Returns:
        (n,) float64, clipped to 0..1 because some objectives exceed that range.
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
