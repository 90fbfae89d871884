"""Embed images and texts: look up the cache, compute the missing vectors, and return one table for the given IDs."""

import hashlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kadr.embed.cache import CacheLookup, EmbeddingCache
from kadr.embed.compute import EmbeddedBatch, embed_image_batches, embed_text_batches
from kadr.embed.reader import ImageToEmbed
from kadr.embed.shards import OK
from kadr.embed.writer import ShardWriter
from kadr.encoders.base import ImageEncoder, TextEncoder
from kadr.errors import InputError
from kadr.io.embeddings import Embeddings
from kadr.io.texts import normalise_text
from kadr.progress import progress

logger = logging.getLogger(__name__)

FillCache = Callable[[Mapping[str, str]], None]
Compute = Callable[[Sequence[str], ShardWriter], Iterator[EmbeddedBatch]]


def embed_images(
    encoder: ImageEncoder, images: pa.Table, cache: EmbeddingCache, batch_size: int, *, fill: FillCache | None = None
) -> Embeddings:
    """Embed the valid images of a table.

    An image that cannot be decoded is left out with a warning. The cache remembers its status, so that the next run
    does not try it again. `undecodable_images` returns these images.

    Args:
        encoder: image encoder.
        images: table IMAGES in any order. Identical images with different IDs are computed once.
        cache: cache of the encoder.
        batch_size: images per forward pass.
        fill: function that first fills the cache, given the paths by SHA-256 (see kadr/embed/ray_engine.py).

    Returns:
        Embeddings, sorted by image_id.

    Raises:
        InputError: an image is missing or has changed since ingest, or an ID occurs with two different images.
    """
    ids, keys, path_by_key = _select_valid(images)

    def compute(missing: Sequence[str], writer: ShardWriter) -> Iterator[EmbeddedBatch]:
        to_embed = [ImageToEmbed(path_by_key[key], key) for key in missing]
        return embed_image_batches(encoder, to_embed, writer, batch_size)

    if fill is not None:
        fill(path_by_key)
    return _embed("embed images", ids, keys, compute, cache)


def embed_texts(
    encoder: TextEncoder,
    ids: Sequence[str],
    texts: Sequence[str],
    cache: EmbeddingCache,
    batch_size: int,
    *,
    fill: FillCache | None = None,
) -> Embeddings:
    """Embed texts.

    Args:
        encoder: text encoder.
        ids: n IDs.
        texts: n texts. Texts that are equal after `normalise_text` are computed once.
        cache: cache of the encoder.
        batch_size: texts per forward pass.
        fill: function that first fills the cache, given the texts by cache key (see kadr/embed/ray_engine.py).

    Returns:
        Embeddings, sorted by ID.

    Raises:
        InputError: an ID occurs with two different texts.
    """
    normalised = [normalise_text(text) for text in texts]
    keys = [hashlib.sha256(text.encode()).hexdigest() for text in normalised]
    text_by_key = dict(zip(keys, normalised, strict=True))

    def compute(missing: Sequence[str], writer: ShardWriter) -> Iterator[EmbeddedBatch]:
        return embed_text_batches(encoder, {key: text_by_key[key] for key in missing}, writer, batch_size)

    if fill is not None:
        fill(text_by_key)
    return _embed("embed texts", *_drop_repeated_ids(ids, keys), compute, cache)


def undecodable_images(images: pa.Table, embeddings: Embeddings, cache: EmbeddingCache) -> dict[str, str]:
    """Return the images that passed ingest but that `embed_images` could not decode.

    Args:
        images: table IMAGES that was embedded.
        embeddings: result of `embed_images`.
        cache: cache of the encoder.

    Returns:
        Status in the cache, by image_id.
    """
    embedded = pc.is_in(images.column("image_id"), value_set=pa.array(embeddings.ids, pa.string()))
    ids, keys, _ = _select_valid(images.filter(pc.invert(embedded)))
    return dict(zip(ids, cache.lookup(keys).status.tolist(), strict=True))


def _select_valid(images: pa.Table) -> tuple[list[str], list[str], dict[str, str]]:
    """Return the IDs and SHA-256 hashes of the valid images, sorted by ID, and a path for each hash."""
    valid = images.filter(pc.equal(images.column("status"), OK))
    ids, keys, paths = (valid.column(name).to_pylist() for name in ("image_id", "sha256", "path"))
    return *_drop_repeated_ids(ids, keys), dict(zip(keys, paths, strict=True))


def _drop_repeated_ids(ids: Sequence[str], keys: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the distinct IDs, sorted, and the key of each. Raise InputError if an ID has two different keys."""
    key_by_id = dict(zip(ids, keys, strict=True))
    if len(key_by_id) < len(ids):
        for id_, key in zip(ids, keys, strict=True):
            if key_by_id[id_] != key:
                raise InputError(
                    f"The ID {id_!r} occurs with two different contents. Use different IDs and run `dvc repro`."
                )
    sorted_ids = sorted(key_by_id)
    return sorted_ids, [key_by_id[id_] for id_ in sorted_ids]


def _embed(label: str, ids: Sequence[str], keys: Sequence[str], compute: Compute, cache: EmbeddingCache) -> Embeddings:
    """Look up the keys of all IDs, compute the missing ones, and return the vectors with their IDs."""
    lookup = cache.lookup(keys)
    rows_by_key: dict[str, list[int]] = {}
    for row in lookup.missing.tolist():
        rows_by_key.setdefault(keys[row], []).append(row)
    _compute_missing(label, lookup, rows_by_key, compute, cache)
    valid = lookup.status == OK
    if valid.all():
        return Embeddings(ids, lookup.vectors, cache.identity.metadata)
    counts = Counter(lookup.status[~valid])
    logger.warning("%s: left out %s", label, ", ".join(f"{n} {status}" for status, n in sorted(counts.items())))
    valid_ids = [ids[row] for row in np.flatnonzero(valid).tolist()]
    return Embeddings(valid_ids, lookup.vectors[valid], cache.identity.metadata)


def _compute_missing(
    label: str, lookup: CacheLookup, rows_by_key: Mapping[str, list[int]], compute: Compute, cache: EmbeddingCache
) -> None:
    """Compute the missing keys and write them to the cache and to their rows of the lookup."""
    start = time.monotonic()
    with progress(label, len(rows_by_key)) as advance, ShardWriter(cache) as writer:
        for batch in compute(list(rows_by_key), writer):
            vectors = cache.format.round(batch.vectors)
            for key, status, vector in zip(batch.keys, batch.statuses, vectors, strict=True):
                lookup.vectors[rows_by_key[key]] = vector
                lookup.status[rows_by_key[key]] = status
            advance(len(batch.keys))
    seconds = time.monotonic() - start
    logger.info("%s: %d computed in %.1f s, all others were in the cache", label, len(rows_by_key), seconds)
