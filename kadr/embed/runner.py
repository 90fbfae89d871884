"""The embed part's runner: what the cache lacks is computed, and one table for exactly the given ids comes back."""

import hashlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kadr.embed.cache import EmbeddingCache, Found
from kadr.embed.compute import Batch, photo_batches, text_batches
from kadr.embed.reader import Photo
from kadr.embed.shards import OK
from kadr.embed.writer import Writer
from kadr.encoders.base import ImageEncoder, TextEncoder
from kadr.errors import InputError
from kadr.io.embeddings import Embeddings
from kadr.io.texts import normalise_text
from kadr.progress import progress

logger = logging.getLogger(__name__)

Fill = Callable[[Mapping[str, str]], None]
Compute = Callable[[Sequence[str], Writer], Iterator[Batch]]


def embed_images(
    encoder: ImageEncoder, images: pa.Table, cache: EmbeddingCache, batch_size: int, *, fill: Fill | None = None
) -> Embeddings:
    """Vectors of the photos in `images` (an IMAGES table) whose status is ok.

    A photo that does not decode is left out with a warning, noted in the cache and not tried again; `bad_photos` lists
    them.

    Args:
        encoder: what embeds.
        images: an IMAGES table, in any order; equal photos under several ids are computed once.
        cache: of this encoder.
        batch_size: photos in a forward pass.
        fill: first puts into the cache what it lacks of {sha256: path}, as far as it can (kadr/embed/ray_engine.py).

    Returns:
        Embeddings of the image_ids, sorted.

    Raises:
        InputError: where a photo is gone or has changed since ingest; where an id has two photos.
    """
    ids, keys, path_of = _good(images)

    def compute(missing: Sequence[str], writer: Writer) -> Iterator[Batch]:
        return photo_batches(encoder, [Photo(path_of[key], key) for key in missing], writer, batch_size)

    if fill is not None:
        fill(path_of)
    return _embed("photos", ids, keys, compute, cache)


def embed_texts(
    encoder: TextEncoder,
    ids: Sequence[str],
    texts: Sequence[str],
    cache: EmbeddingCache,
    batch_size: int,
    *,
    fill: Fill | None = None,
) -> Embeddings:
    """Vectors of n texts.

    Args:
        encoder: what embeds.
        ids: n ids.
        texts: n texts; equal ones, after `normalise`, are computed once.
        cache: of this encoder.
        batch_size: texts in a forward pass.
        fill: first puts into the cache what it lacks of {key: text}, as far as it can (kadr/embed/ray_engine.py).

    Returns:
        Embeddings of the ids, sorted.

    Raises:
        InputError: where an id has two texts.
    """
    normalised = [normalise_text(text) for text in texts]
    keys = [hashlib.sha256(text.encode()).hexdigest() for text in normalised]
    text_of = dict(zip(keys, normalised, strict=True))

    def compute(missing: Sequence[str], writer: Writer) -> Iterator[Batch]:
        return text_batches(encoder, {key: text_of[key] for key in missing}, writer, batch_size)

    if fill is not None:
        fill(text_of)
    return _embed("texts", *_one_each(ids, keys), compute, cache)


def bad_photos(images: pa.Table, embeddings: Embeddings, cache: EmbeddingCache) -> dict[str, str]:
    """Ids of the photos that ingest found ok and that `embed_images` left out, each with its status in the cache."""
    there = pc.is_in(images.column("image_id"), value_set=pa.array(embeddings.ids, pa.string()))
    ids, keys, _ = _good(images.filter(pc.invert(there)))
    return dict(zip(ids, cache.lookup(keys).status.tolist(), strict=True))


def _good(images: pa.Table) -> tuple[list[str], list[str], dict[str, str]]:
    """Ids and sha256 of the photos whose status is ok, sorted by id, and a path for each sha256."""
    good = images.filter(pc.equal(images.column("status"), OK))
    ids, keys, paths = (good.column(name).to_pylist() for name in ("image_id", "sha256", "path"))
    return *_one_each(ids, keys), dict(zip(keys, paths, strict=True))


def _one_each(ids: Sequence[str], keys: Sequence[str]) -> tuple[list[str], list[str]]:
    """The distinct ids, sorted, and the key of each. Raises InputError where an id comes with two contents."""
    key_of = dict(zip(ids, keys, strict=True))
    if len(key_of) < len(ids):
        for id_, key in zip(ids, keys, strict=True):
            if key_of[id_] != key:
                raise InputError(f"id {id_!r} comes with two contents; give them different ids and run `dvc repro`")
    ordered = sorted(key_of)
    return ordered, [key_of[id_] for id_ in ordered]


def _embed(what: str, ids: Sequence[str], keys: Sequence[str], compute: Compute, cache: EmbeddingCache) -> Embeddings:
    """Look up the key of each id, compute what is missing, and join the vectors to the ids."""
    found = cache.lookup(keys)
    rows_of: dict[str, list[int]] = {}
    for row in found.missing.tolist():
        rows_of.setdefault(keys[row], []).append(row)
    _complete(f"embed {what}", found, rows_of, compute, cache)
    good = found.status == OK
    if good.all():
        return Embeddings(ids, found.vectors, cache.identity.metadata)
    bad = Counter(found.status[~good])
    logger.warning("embed %s: left out %s", what, ", ".join(f"{n} {status}" for status, n in sorted(bad.items())))
    return Embeddings([ids[row] for row in np.flatnonzero(good).tolist()], found.vectors[good], cache.identity.metadata)


def _complete(
    label: str, found: Found, rows_of: Mapping[str, list[int]], compute: Compute, cache: EmbeddingCache
) -> None:
    """Compute the keys of `rows_of` into those rows of `found`; a batch is in the cache as soon as it is computed."""
    start = time.monotonic()
    with progress(label, len(rows_of)) as advance, Writer(cache) as writer:
        for batch in compute(list(rows_of), writer):
            vectors = cache.format.rounded(batch.vectors)
            for key, status, vector in zip(batch.keys, batch.statuses, vectors, strict=True):
                found.vectors[rows_of[key]] = vector
                found.status[rows_of[key]] = status
            advance(len(batch.keys))
    seconds = time.monotonic() - start
    logger.info("%s: %d computed in %.1f s, the others were in the cache", label, len(rows_of), seconds)
