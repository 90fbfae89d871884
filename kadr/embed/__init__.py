"""Embed images and texts, and cache each vector under the hash of its image or text."""

from kadr.embed.cache import EmbeddingCache, cache_root
from kadr.embed.ray_engine import choose_engine
from kadr.embed.runner import embed_images, embed_texts, undecodable_images
from kadr.embed.table_embedding import embed_image_table, embed_text_table

__all__ = [
    "EmbeddingCache",
    "cache_root",
    "choose_engine",
    "embed_image_table",
    "embed_images",
    "embed_text_table",
    "embed_texts",
    "undecodable_images",
]
