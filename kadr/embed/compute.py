"""Compute embeddings in batches, and write each batch to the cache before yielding it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import numpy as np

from kadr.embed.reader import (
    FILE_PROBLEMS,
    ImageToEmbed,
    PreprocessedImage,
    map_in_threads,
    preprocess_images,
    preprocess_on_cpu,
)
from kadr.embed.shards import OK
from kadr.embed.writer import ShardWriter
from kadr.encoders.base import ImageEncoder, TextEncoder
from kadr.errors import UndecodableError
from kadr.io.embeddings import Vectors

_READ_AHEAD = 2  # number of batches to preprocess in advance, in addition to one batch per worker

Item = TypeVar("Item")


@dataclass(frozen=True)
class EmbeddedBatch:
    """A batch of embeddings that has been written to the cache.

    Attributes:
        keys: cache keys of n images or texts.
        vectors: vector of each key, (n, d) float32. The vector is zero unless the status is `ok`.
        statuses: status of each key: `ok`, or the reason why the image cannot be decoded.
    """

    keys: list[str]
    vectors: Vectors
    statuses: list[str]


def embed_image_batches(
    encoder: ImageEncoder,
    images: Iterable[ImageToEmbed],
    writer: ShardWriter,
    batch_size: int,
    *,
    skip_unreadable: bool = False,
) -> Iterator[EmbeddedBatch]:
    """Embed images, and yield the batches in the order of the images.

    Args:
        encoder: image encoder.
        images: images to embed.
        writer: writer that stores the batches in the cache.
        batch_size: number of images per forward pass.
        skip_unreadable: whether a missing or changed file gets a status from FILE_PROBLEMS instead of an error.

    Raises:
        ImageFileError: an image file is missing or has changed since the `ingest` stage.
    """

    def encode(group: list[PreprocessedImage]) -> EmbeddedBatch:
        try:
            vectors, statuses = _encode(encoder, group)
        except UndecodableError:  # a device rejects the whole batch if it cannot decode one image
            group = [preprocess_on_cpu(item.image, encoder, skip_unreadable=skip_unreadable) for item in group]
            vectors, statuses = _encode(encoder, group)
        batch = EmbeddedBatch([item.image.sha256 for item in group], vectors, statuses)
        _save(batch, writer)
        return batch

    ahead = batch_size * (encoder.workers + _READ_AHEAD)
    preprocessed = preprocess_images(images, encoder, ahead, skip_unreadable=skip_unreadable)
    groups = _batched(preprocessed, batch_size)
    with encoder.share_cores():
        yield from map_in_threads(encode, groups, encoder.workers, encoder.workers + 1)


def embed_text_batches(
    encoder: TextEncoder, text_by_key: Mapping[str, str], writer: ShardWriter, batch_size: int
) -> Iterator[EmbeddedBatch]:
    """Sort texts by length to minimise padding, embed the texts, and yield the batches.

    Args:
        encoder: text encoder.
        text_by_key: mapping from cache keys to texts.
        writer: writer that stores the batches in the cache.
        batch_size: number of texts per forward pass.
    """
    for keys in _batched(sort_by_length(text_by_key), batch_size):
        batch = EmbeddedBatch(keys, encoder.transform([text_by_key[key] for key in keys]), [OK] * len(keys))
        writer.add(batch.keys, batch.vectors, batch.statuses)
        yield batch


def sort_by_length(text_by_key: Mapping[str, str]) -> dict[str, str]:
    """Return the mapping sorted by the length of the texts, and by the texts of equal length."""
    return dict(sorted(text_by_key.items(), key=lambda item: (len(item[1]), item[1])))


def _save(batch: EmbeddedBatch, writer: ShardWriter) -> None:
    """Write a batch to the cache, except for images whose files cannot be used now."""
    rows = [row for row, status in enumerate(batch.statuses) if status not in FILE_PROBLEMS]
    if rows:
        statuses = [batch.statuses[row] for row in rows]
        writer.add([batch.keys[row] for row in rows], batch.vectors[rows], statuses)


def _encode(encoder: ImageEncoder, group: list[PreprocessedImage]) -> tuple[Vectors, list[str]]:
    """Encode a batch, and return vectors (n, d) and n statuses. Vectors of undecodable images are zero."""
    vectors = np.zeros((len(group), encoder.dim), dtype=np.float32)
    pixels = {row: item.pixels for row, item in enumerate(group) if item.pixels is not None}
    if pixels:
        vectors[list(pixels)] = encoder.encode(list(pixels.values()))
    return vectors, [item.status for item in group]


def _batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    remaining = iter(items)
    while batch := list(islice(remaining, size)):
        yield batch
