"""Feature blocks, which compute the input of the relevance model for pairs of an image and a text."""

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
