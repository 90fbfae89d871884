"""Feature blocks, which compute the inputs of the relevance model for image-text pairs."""

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
