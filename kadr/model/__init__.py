"""Training, cross-validation and ablation of the relevance model."""

from kadr.model.relevance_model import FeatureBlocks, RelevanceModel

__all__ = ["FeatureBlocks", "RelevanceModel"]
