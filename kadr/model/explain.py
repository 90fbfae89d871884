"""Contribution of each feature block to predictions, measured by SHAP values (Lundberg et al. 2020)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from kadr.features import FeatureMatrix
from kadr.io.embeddings import evenly_spaced_rows

if TYPE_CHECKING:
    import lightgbm as lgb

N_EXPLAINED = 2000  # maximum number of pairs whose SHAP values are computed


def block_contributions(booster: "lgb.Booster", matrix: FeatureMatrix) -> Mapping[str, float]:
    """Return how much each feature block contributes to predictions, as a share of all contributions.

    The contribution of a block to one prediction is the sum of the SHAP values of its features. The absolute
    contributions are averaged over at most N_EXPLAINED pairs, evenly spaced over the rows of the matrix.

    Args:
        booster: trained trees.
        matrix: feature matrix of the pairs.

    Returns:
        Share of each block, by block name. The shares sum to 1, or all shares are 0.
    """
    explained = matrix.values[evenly_spaced_rows(len(matrix.values), N_EXPLAINED)]
    values = np.asarray(booster.predict(explained, pred_contrib=True))
    means = {name: float(np.abs(values[:, columns].sum(axis=1)).mean()) for name, columns in matrix.blocks.items()}
    total = sum(means.values())
    return {name: mean / total if total else 0.0 for name, mean in means.items()}
