"""The relevance model: LightGBM on feature blocks, its cross-validation, and ablations."""

from kadr.model.relevance_model import FeatureBlocks, RelevanceModel

__all__ = ["FeatureBlocks", "RelevanceModel"]
