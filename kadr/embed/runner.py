"""Embed images and texts: compute the vectors that are missing in the cache, and return the vectors of the cache."""

import hashlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kadr.embed.cache import EmbeddingCache
from kadr.embed.compute import EmbeddedBatch, embed_image_batches, embed_text_batches, sort_by_length
from kadr.embed.reader import ImageToEmbed
from kadr.embed.shards import OK, pack_keys
from kadr.embed.writer import ShardWriter
from kadr.encoders.base import ImageEncoder, TextEncoder
from kadr.errors import InputError
from kadr.io.embeddings import Embeddings, FloatVectors, Rows, VectorSource, id_array
from kadr.io.texts import normalise_text
from kadr.progress import in_overall_progress, progress

logger = logging.getLogger(__name__)

FillCache = Callable[[Mapping[str, str]], int]
"""Function that computes the missing vectors of the keys in advance, and returns the number of computed vectors."""

Compute = Callable[[Sequence[str], ShardWriter], Iterator[EmbeddedBatch]]


def embed_images(
    encoder: ImageEncoder,
    images: pa.Table,
    cache: EmbeddingCache,
    batch_size: int,
    *,
    fill: FillCache | None = None,
    skip_unreadable: bool = False,
) -> VectorSource:
    """Embed the valid images of a table. The vectors stay in the cache until they are copied or loaded.

    Images that cannot be decoded are left out with a warning. The cache stores the status of undecodable images, so
    that the next run does not try to decode them again. Call `undecodable_images` to list the undecodable images.

    Args:
        encoder: image encoder.
        images: images in any order, in the schema IMAGES. Identical images with different IDs are encoded only once.
        cache: cache of the encoder.
        batch_size: number of images per forward pass.
        fill: function that fills the cache in advance, such as `fill_cache_with_ray`. The argument of the function maps
            SHA-256 hashes to image paths.
        skip_unreadable: whether missing and changed files are left out with a warning, too. The cache does not store
            their status.

    Returns:
        Vectors of the decodable images, sorted by image_id.

    Raises:
        ImageFileError: an image file is missing or has changed since the `ingest` stage.
        InputError: two different images have the same ID.
    """
    ids, keys, path_by_key = _select_valid(images)

    def compute(missing: Sequence[str], writer: ShardWriter) -> Iterator[EmbeddedBatch]:
        to_embed = [ImageToEmbed(path_by_key[key], key) for key in missing]
        return embed_image_batches(encoder, to_embed, writer, batch_size, skip_unreadable=skip_unreadable)

    bound_fill = partial(fill, {key: path_by_key[key] for key in keys}) if fill else None
    return _embed("embed images", ids, keys, compute, cache, fill=bound_fill)


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
        ids: ID of each text.
        texts: texts to embed. Texts that `normalise_text` converts to the same string are encoded only once.
        cache: cache of the encoder.
        batch_size: number of texts per forward pass.
        fill: function that fills the cache in advance, such as `fill_cache_with_ray`. The argument of the function maps
            cache keys to texts.

    Returns:
        Embeddings of the texts, sorted by ID.

    Raises:
        InputError: two different texts have the same ID.
    """
    normalised = [normalise_text(text) for text in texts]
    keys = [hashlib.sha256(text.encode()).hexdigest() for text in normalised]
    text_by_key = dict(zip(keys, normalised, strict=True))

    def compute(missing: Sequence[str], writer: ShardWriter) -> Iterator[EmbeddedBatch]:
        return embed_text_batches(encoder, {key: text_by_key[key] for key in missing}, writer, batch_size)

    bound_fill = partial(fill, sort_by_length(text_by_key)) if fill else None
    return _embed("embed texts", *_drop_repeated_ids(ids, keys), compute, cache, fill=bound_fill).load()


def undecodable_images(images: pa.Table, embedded: VectorSource, cache: EmbeddingCache) -> dict[str, str]:
    """Return the valid images that `embed_images` could not decode.

    Args:
        images: table that was passed to `embed_images`.
        embedded: result of `embed_images`.
        cache: cache of the encoder.

    Returns:
        Dict that maps the image_id of each image to the reason why the image cannot be decoded. The reason is an empty
        string for an image that was left out because its file is missing or has changed.
    """
    is_embedded = pc.is_in(images.column("image_id"), value_set=id_array(embedded.ids))
    ids, keys, _ = _select_valid(images.filter(pc.invert(is_embedded)))
    return dict(zip(ids, cache.read_statuses(keys).tolist(), strict=True))


def _select_valid(images: pa.Table) -> tuple[list[str], list[str], dict[str, str]]:
    """Return the IDs and hashes of the valid images, sorted by ID, and a dict from hashes to image paths."""
    valid = images.filter(pc.equal(images.column("status"), OK))
    ids, keys, paths = (valid.column(name).to_pylist() for name in ("image_id", "sha256", "path"))
    if None in keys:
        raise InputError(
            f"{keys.count(None):,} images have no file, such as {ids[keys.index(None)]!r}, so they cannot be embedded. "
            "Remove the encoder from embed_images.encoders, or add the files."
        )
    return *_drop_repeated_ids(ids, keys), dict(zip(keys, paths, strict=True))


def _drop_repeated_ids(ids: Sequence[str], keys: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the distinct IDs in sorted order, and the key of each ID. Raise InputError if an ID has several keys."""
    key_by_id = dict(zip(ids, keys, strict=True))
    if len(key_by_id) < len(ids):
        for id_, key in zip(ids, keys, strict=True):
            if key_by_id[id_] != key:
                raise InputError(
                    f"Two different images or texts have the ID {id_!r}. Give them different IDs and run `dvc repro`."
                )
    sorted_ids = sorted(key_by_id)
    return sorted_ids, [key_by_id[id_] for id_ in sorted_ids]


def _embed(
    label: str,
    ids: Sequence[str],
    keys: Sequence[str],
    compute: Compute,
    cache: EmbeddingCache,
    *,
    fill: Callable[[], int] | None,
) -> VectorSource:
    """Fill the cache, compute the vectors that are missing in the cache, and return the vectors of all IDs."""
    start = time.monotonic()
    n_filled = fill() if fill else 0
    statuses = cache.read_statuses(keys)
    rows_by_key: dict[str, list[int]] = {}
    for row in np.flatnonzero(statuses == "").tolist():
        rows_by_key.setdefault(keys[row], []).append(row)
    n_computed = n_filled + _compute_missing(label, statuses, rows_by_key, compute, cache)
    on_ray = f" ({n_filled} on Ray)" if n_filled else ""
    seconds = time.monotonic() - start
    logger.log(
        logging.DEBUG if in_overall_progress() else logging.INFO,
        "%s: computed %d vectors%s in %.1f s. All other vectors were in the cache.",
        label,
        n_computed,
        on_ray,
        seconds,
    )
    is_valid = statuses == OK
    if not is_valid.all():
        counts = Counter(statuses[~is_valid])
        reasons = ", ".join(f"{n} {status}" for status, n in sorted(counts.items()))
        logger.warning("%s: some images cannot be used and were left out (%s).", label, reasons)
    mask = pa.array(is_valid, pa.bool_())
    return _CachedVectors(
        pa.array(ids, pa.string()).filter(mask), cache.identity.metadata, pack_keys(keys).filter(mask), cache
    )


def _compute_missing(
    label: str,
    statuses: npt.NDArray[np.object_],
    rows_by_key: Mapping[str, list[int]],
    compute: Compute,
    cache: EmbeddingCache,
) -> int:
    """Compute the missing vectors, write them to the cache, set their statuses, and return their number."""
    n_computed = 0
    with progress(label, len(rows_by_key)) as advance, ShardWriter(cache) as writer:
        for batch in compute(list(rows_by_key), writer):
            for key, status in zip(batch.keys, batch.statuses, strict=True):
                statuses[rows_by_key[key]] = status
            n_computed += batch.statuses.count(OK)
            advance(len(batch.keys))
    return n_computed


@dataclass(frozen=True)
class _CachedVectors(VectorSource):
    """Vectors in the embedding cache.

    Attributes:
        ids: (n,) IDs of images or texts, as an Arrow array.
        metadata: identity of the encoder.
        keys: (n,) packed keys, as an Arrow array.
        cache: cache of the encoder.
    """

    ids: Sequence[str]
    metadata: dict[str, str]
    keys: pa.Array
    cache: EmbeddingCache

    @property
    def dim(self) -> int:
        """Number of dimensions d of each vector."""
        return self.cache.format.dim

    def copy(self, rows: Rows, out: FloatVectors, targets: Rows) -> None:
        """Copy vectors from the cache to rows of an array, in the order of the shards."""
        self.cache.copy(self.keys.take(pa.array(rows)), out, targets)
