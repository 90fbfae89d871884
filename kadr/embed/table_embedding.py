"""Embed the images or texts of a table with any encoder, including vectors that were computed elsewhere."""

from collections.abc import Callable, Sequence

import pyarrow as pa

from kadr.embed.cache import EmbeddingCache, cache_root
from kadr.embed.ray_engine import choose_engine
from kadr.embed.runner import embed_images, embed_texts, undecodable_images
from kadr.encoders.base import ImageEncoder, TextEncoder
from kadr.encoders.precomputed import PrecomputedImageEncoder
from kadr.encoders.precomputed_texts import PrecomputedTextEncoder
from kadr.io.embeddings import Embeddings, VectorSource
from kadr.io.storage import Location
from kadr.params import EmbedParams


def embed_image_table(
    encoder: ImageEncoder,
    images: pa.Table,
    params: EmbedParams,
    batch_size: int,
    load: Callable[[], ImageEncoder],
    *,
    skip_unreadable: bool = False,
    cache_folder: Location | None = None,
) -> tuple[VectorSource, dict[str, str]]:
    """Embed the valid images of a table, or look up their precomputed vectors.

    Args:
        encoder: image encoder.
        images: images in the schema IMAGES.
        params: section `embed` of params.yaml.
        batch_size: number of images per forward pass.
        load: function that loads the encoder on the nodes of a Ray cluster.
        skip_unreadable: whether missing and changed files are left out instead of raising an error.
        cache_folder: folder or URI of the embedding cache. None for the cache of the user.

    Returns:
        The vectors, sorted by image ID, and the status of each valid image without a vector: the reason why the image
        cannot be decoded, `no_vector`, `invalid_vector`, or an empty string if its file is missing or has changed.

    Raises:
        InputError: an image file is missing or has changed since the `ingest` stage, or two different images or vectors
            have the same ID.
    """
    if isinstance(encoder, PrecomputedImageEncoder):
        return encoder.select(images)
    cache = EmbeddingCache(cache_folder or cache_root(), encoder.identity, encoder.dim, params.vectors)
    fill = choose_engine(params, load, cache, batch_size)
    vectors = embed_images(encoder, images, cache, batch_size, fill=fill, skip_unreadable=skip_unreadable)
    return vectors, undecodable_images(images, vectors, cache)


def embed_text_table(
    encoder: TextEncoder,
    ids: Sequence[str],
    texts: Sequence[str],
    *,
    params: EmbedParams,
    batch_size: int,
    load: Callable[[], TextEncoder],
) -> tuple[TextEncoder, Embeddings]:
    """Embed texts, or look up their precomputed vectors.

    Args:
        encoder: text encoder.
        ids: ID of each text.
        texts: texts to embed.
        params: section `embed` of params.yaml.
        batch_size: number of texts per forward pass.
        load: function that loads the encoder on the nodes of a Ray cluster.

    Returns:
        The encoder to save for new queries, and the embeddings, sorted by ID.

    Raises:
        InputError: two different texts or vectors have the same ID.
        EncoderError: a text has no precomputed vector.
    """
    if isinstance(encoder, PrecomputedTextEncoder):
        return encoder.select(ids, texts)
    cache = EmbeddingCache(cache_root(), encoder.identity, encoder.dim, params.vectors)
    fill = choose_engine(params, load, cache, batch_size)
    return encoder, embed_texts(encoder, ids, texts, cache, batch_size, fill=fill)
