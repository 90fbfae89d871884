"""The relevance model, which consists of feature blocks and LightGBM trees, its cross-validation and its ablation."""

from kadr.model.relevance_model import FeatureBlocks, RelevanceModel

__all__ = ["FeatureBlocks", "RelevanceModel"]
