"""The embed part: a reader, an encoder and a writer around a cache keyed by content."""

from kadr.embed.cache import EmbeddingCache, cache_root
from kadr.embed.ray_engine import by_engine
from kadr.embed.runner import bad_photos, embed_images, embed_texts

__all__ = ["EmbeddingCache", "bad_photos", "by_engine", "cache_root", "embed_images", "embed_texts"]
