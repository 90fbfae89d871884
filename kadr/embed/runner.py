"""The embed part's runner: what the cache lacks is computed, and one table for exactly the given ids comes back."""

import hashlib
import logging
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from kadr.embed.cache import EmbeddingCache
from kadr.embed.reader import Photo, preparing, read_ahead
from kadr.embed.writer import Writer
from kadr.embeddings import Embeddings, Vectors
from kadr.encoders.base import Identity, ImageEncoder, TextEncoder
from kadr.errors import InputError
from kadr.progress import progress

logger = logging.getLogger(__name__)

_BATCHES_AHEAD = 3

Batches = Iterator[tuple[list[str], Vectors]]


def embed_images(encoder: ImageEncoder, images: pa.Table, cache: EmbeddingCache, batch_size: int) -> Embeddings:
    """Vectors of the photos in `images` (an IMAGES table) whose status is ok.

    Args:
        encoder: what embeds.
        images: an IMAGES table, in any order; equal photos under several ids are computed once.
        cache: of this encoder.
        batch_size: photos in a forward pass.

    Returns:
        Embeddings of the image_ids, sorted.

    Raises:
        InputError: where a photo is gone, has changed since ingest, or does not decode; where an id has two photos.
    """
    key_of = _one_each((row["image_id"], row["sha256"]) for row in images.to_pylist() if row["status"] == "ok")
    photos = {row["sha256"]: Photo(Path(row["path"]), row["sha256"]) for row in images.sort_by("image_id").to_pylist()}

    def compute(missing: Sequence[str]) -> Batches:
        wanted = [photos[key] for key in missing]
        prepared = read_ahead(wanted, preparing(encoder), _BATCHES_AHEAD * batch_size)
        for keys in _chunks(missing, batch_size):
            yield keys, encoder.encode(np.stack([next(prepared) for _ in keys]))

    return _embed("photos", key_of, compute, cache, encoder.identity)


def embed_texts(
    encoder: TextEncoder, ids: Sequence[str], texts: Sequence[str], cache: EmbeddingCache, batch_size: int
) -> Embeddings:
    """Vectors of n texts.

    Args:
        encoder: what embeds.
        ids: n ids.
        texts: n texts; equal ones, after `normalise`, are computed once.
        cache: of this encoder.
        batch_size: texts in a forward pass.

    Returns:
        Embeddings of the ids, sorted.

    Raises:
        InputError: where an id has two texts.
    """
    text_of = {_text_key(text): text for text in map(normalise, texts)}
    key_of = _one_each(zip(ids, (_text_key(normalise(text)) for text in texts), strict=True))

    def compute(missing: Sequence[str]) -> Batches:
        for keys in _chunks(sorted(missing, key=lambda key: (len(text_of[key]), text_of[key])), batch_size):
            yield keys, encoder.transform([text_of[key] for key in keys])

    return _embed("texts", key_of, compute, cache, encoder.identity)


def normalise(text: str) -> str:
    """A text with Unicode composed (NFC) and every run of white space as one space; the case stays."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def _embed(
    what: str,
    key_of: Mapping[str, str],
    compute: Callable[[Sequence[str]], Batches],
    cache: EmbeddingCache,
    identity: Identity,
) -> Embeddings:
    """Look up the key of each id, compute what is missing, and join the vectors to the sorted ids."""
    ids = sorted(key_of)
    keys = [key_of[id_] for id_ in ids]
    found, vectors = cache.lookup(keys)
    missing = list(dict.fromkeys(key for key, there in zip(keys, found, strict=True) if not there))
    computed = _compute(f"embed {what}", missing, compute, cache)
    for row in np.flatnonzero(~found):
        vectors[row] = computed[keys[row]]
    return Embeddings(ids, vectors, identity.metadata)


def _compute(
    label: str, missing: Sequence[str], compute: Callable[[Sequence[str]], Batches], cache: EmbeddingCache
) -> Mapping[str, Vectors]:
    """Vectors of the missing keys; each shard is in the cache as soon as it is full, the last at any end."""
    start = time.monotonic()
    computed: dict[str, Vectors] = {}
    with progress(label, len(missing)) as advance, Writer(cache) as writer:
        for keys, vectors in compute(missing):
            writer.add(keys, vectors)
            computed.update(zip(keys, vectors, strict=True))
            advance(len(keys))
    seconds = time.monotonic() - start
    logger.info("%s: %d computed in %.1f s, the others were in the cache", label, len(missing), seconds)
    return computed


def _chunks(keys: Sequence[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(keys), size):
        yield list(keys[start : start + size])


def _text_key(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _one_each(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The key of each id. Raises InputError where an id comes with two contents."""
    key_of: dict[str, str] = {}
    for id_, key in pairs:
        if key_of.setdefault(id_, key) != key:
            raise InputError(f"id {id_!r} comes with two contents; give them different ids and run `dvc repro`")
    return key_of
