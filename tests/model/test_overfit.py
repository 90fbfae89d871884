"""Before any training on real data: the learner can learn 20 rows by heart."""

from pathlib import Path

import numpy as np

from kadr.model.lightgbm import Learner, predict
from kadr.params import load_params


def test_the_learner_overfits_20_rows(project: Path) -> None:
    free = {
        "n_estimators": 400,
        "learning_rate": 0.2,
        "num_leaves": 20,
        "min_data_in_leaf": 1,
        "feature_fraction": 1.0,
        "bagging_fraction": 1.0,
        "lambda_l2": 0.0,
        "max_bin": 255,
    }
    params = load_params(project / "params.yaml").train.model_copy(update=free)
    rng = np.random.default_rng(0)
    values, relevance = rng.normal(size=(20, 8)).astype(np.float32), rng.random(20)
    booster = Learner(values, relevance, np.ones(20), params, seed=0).fit(np.arange(20))
    assert np.abs(predict(booster, values) - relevance).max() < 0.05
