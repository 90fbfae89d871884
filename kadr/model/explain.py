"""What moves a prediction: the contributions of feature blocks (SHAP, Lundberg et al. 2020, by LightGBM itself)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from kadr.features import FeatureMatrix
from kadr.io.embeddings import spread

if TYPE_CHECKING:
    import lightgbm as lgb

N_EXPLAINED = 2000  # pairs that stand for all


def block_contributions(booster: "lgb.Booster", matrix: FeatureMatrix) -> Mapping[str, float]:
    """Each block's share of what moves predictions away from their mean; they sum to 1 (or all are 0).

    A block's contribution to a pair is the sum of its features' SHAP values, in what the trees add up; its share is
    that of the mean magnitude, over pairs spread evenly over the matrix.
    """
    explained = matrix.values[spread(len(matrix.values), N_EXPLAINED)]
    values = np.asarray(booster.predict(explained, pred_contrib=True))
    means = {name: float(np.abs(values[:, columns].sum(axis=1)).mean()) for name, columns in matrix.blocks.items()}
    total = sum(means.values())
    return {name: mean / total if total else 0.0 for name, mean in means.items()}
