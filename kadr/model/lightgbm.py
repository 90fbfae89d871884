"""LightGBM as the learner: relevance 0..1 from a feature matrix, deterministic for a seed and a number of threads."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kadr.embeddings import Rows, Vectors
from kadr.errors import ModelError
from kadr.model.target import Calibration, Scores, choose_target
from kadr.params import TrainParams

if TYPE_CHECKING:
    import lightgbm as lgb

N_CALIBRATION = 3  # parts of the training rows, each scored by trees of the others, that the calibration is fitted on


@dataclass(frozen=True)
class Regressor:
    """Trees and the way from what they predict to a relevance."""

    booster: "lgb.Booster"
    calibration: Calibration

    def predict(self, values: Vectors) -> Scores:
        """Relevance 0..1 of (n, n_features) float32 rows; (n,) float64."""
        return self.calibration(_predict(self.booster, values))


class Learner:
    """Trains regressors on rows of one feature matrix, whose histogram bins are made once and shared by all folds.

    Args:
        values: (n_pairs, n_features) float32.
        relevance: (n_pairs,) in 0..1.
        weight: (n_pairs,) > 0.
        groups: (n_pairs,) number of each pair's photo; the calibration never scores a photo by trees that saw it.
        params: the target, trees and their limits.
        seed: of bagging and of feature sampling.
    """

    def __init__(
        self, values: Vectors, relevance: Scores, weight: Scores, groups: Rows, params: TrainParams, *, seed: int
    ) -> None:
        import lightgbm as lgb

        self._values, self._relevance, self._weight, self._groups = values, relevance, weight, groups
        self._target = choose_target(params.target)
        self._calibrated = params.target != "relevance"  # which the trees' cross-entropy predicts as it is
        self._settings = _settings(params, seed)
        self._n_estimators = params.n_estimators
        self._bins = lgb.Dataset(
            values, relevance, weight=weight, params=self._settings, free_raw_data=False
        ).construct()

    def fit(self, rows: Rows) -> Regressor:
        """A regressor trained on these rows. Raises ModelError where there is none."""
        if not len(rows):
            raise ModelError("no pair to train on; lower train.image_folds and train.query_folds, or add ratings")
        calibration = self._calibrate(rows) if self._calibrated else Calibration()
        return Regressor(self._boost(rows), calibration)

    def fit_predict(self, train: Rows, test: Rows) -> Scores:
        """Relevance 0..1 of the test rows by a regressor trained on the training rows."""
        return self.fit(train).predict(self._values[test])

    def _boost(self, rows: Rows) -> "lgb.Booster":
        import lightgbm as lgb

        bins = self._bins.subset(rows.tolist()).construct()
        bins.set_label(self._target(self._relevance[rows], self._weight[rows]))
        return lgb.train(self._settings, bins, num_boost_round=self._n_estimators)

    def _calibrate(self, rows: Rows) -> Calibration:
        _, photo = np.unique(self._groups[rows], return_inverse=True)
        part = photo % N_CALIBRATION
        score = np.empty(len(rows))
        for held_out in np.unique(part):
            inside, outside = rows[part == held_out], rows[part != held_out]
            score[part == held_out] = _predict(self._boost(outside if len(outside) else inside), self._values[inside])
        return Calibration.fit(score, self._relevance[rows], self._weight[rows])


def _predict(booster: "lgb.Booster", values: Vectors) -> Scores:
    return np.asarray(booster.predict(values), dtype=np.float64) if len(values) else np.empty(0)


def _settings(params: TrainParams, seed: int) -> dict[str, object]:
    return {
        "objective": "cross_entropy",
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
