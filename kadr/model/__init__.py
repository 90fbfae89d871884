"""The library room's relevance model: LightGBM on feature blocks, and its out-of-fold scores."""

from kadr.model.relevance_model import FeatureBlocks, RelevanceModel

__all__ = ["FeatureBlocks", "RelevanceModel"]
