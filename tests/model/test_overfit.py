"""Before any training on real data: the learner can learn 20 rows by heart."""

from pathlib import Path

import numpy as np
import pandas as pd

from kadr.features import FeatureMatrix, Images, Texts
from kadr.model.training_data import Pairs
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
    params = load_params(project / "params.yaml")
    rng = np.random.default_rng(0)
    relevance = rng.random(20)
    ids = [str(n) for n in range(20)]
    table = pd.DataFrame({"image_id": ids, "query_id": ids, "relevance": relevance, "weight": 1.0})
    rows = np.arange(20)
    pairs = Pairs(table, Images(ids, {}), Texts(ids, ids, {}), rows, rows, {})
    names = [f"noise:{n}" for n in range(8)]
    matrix = FeatureMatrix(rng.normal(size=(20, 8)).astype(np.float32), names, {"noise": slice(0, 8)})
    learner = pairs.learner(matrix, params.model_copy(update={"train": params.train.model_copy(update=free)}))
    assert np.abs(learner.fit_predict(rows, rows) - relevance).max() < 0.05
