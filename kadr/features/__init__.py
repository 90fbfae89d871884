"""The library room's feature blocks: what a relevance model sees of a pair of photo and text."""

from kadr.features.blocks import BLOCKS, Block, FeatureMatrix, Features, build_features
from kadr.features.caption_features import Captioned
from kadr.features.caption_neighbours import Corpus
from kadr.features.inputs import Images, Texts

__all__ = ["BLOCKS", "Block", "Captioned", "Corpus", "FeatureMatrix", "Features", "Images", "Texts", "build_features"]
