"""The library room's feature blocks: what a relevance model sees of a pair of photo and text."""

from kadr.features.blocks import BLOCKS, Block, FeatureMatrix, build_features
from kadr.features.inputs import Images, Texts

__all__ = ["BLOCKS", "Block", "FeatureMatrix", "Images", "Texts", "build_features"]
