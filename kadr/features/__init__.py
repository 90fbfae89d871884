"""Feature blocks: the features that the relevance model computes for a pair of image and text."""

from kadr.features.blocks import BLOCKS, Block, FeatureMatrix, Features, build_features
from kadr.features.caption_corpus import CaptionedCorpus
from kadr.features.caption_features import CaptionFeatures
from kadr.features.inputs import Images, Texts

__all__ = [
    "BLOCKS",
    "Block",
    "CaptionFeatures",
    "CaptionedCorpus",
    "FeatureMatrix",
    "Features",
    "Images",
    "Texts",
    "build_features",
]
