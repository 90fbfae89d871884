"""The embed part's computing: batches through an encoder, each written to the cache before the next one is taken."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import numpy as np

from kadr.embed.reader import Photo, Prepared, decoded, in_threads, prepared
from kadr.embed.shards import OK
from kadr.embed.writer import Writer
from kadr.encoders.base import ImageEncoder, TextEncoder
from kadr.errors import UndecodableError
from kadr.io.embeddings import Vectors

_READ_AHEAD = 2  # batches prepared beside those that are being computed

Item = TypeVar("Item")


@dataclass(frozen=True)
class Batch:
    """What was computed and is in the cache: n keys, vectors (n, d), zero where the status is not ok, n statuses."""

    keys: list[str]
    vectors: Vectors
    statuses: list[str]


def photo_batches(encoder: ImageEncoder, photos: Iterable[Photo], writer: Writer, batch_size: int) -> Iterator[Batch]:
    """Photos decoded in threads, and encoded by as many workers as the encoder says; in order.

    Raises:
        InputError: by a photo that is gone or has changed since ingest.
    """

    def encode(group: list[Prepared]) -> Batch:
        try:
            vectors, statuses = _vectors(encoder, group)
        except UndecodableError:  # the encoder's own decoder wants all of a batch to decode
            vectors, statuses = _vectors(encoder, [decoded(one.photo, encoder) for one in group])
        batch = Batch([one.photo.sha256 for one in group], vectors, statuses)
        writer.add(batch.keys, batch.vectors, batch.statuses)
        return batch

    ahead = batch_size * (encoder.workers + _READ_AHEAD)
    groups = _grouped(prepared(photos, encoder, ahead), batch_size)
    with encoder.at_work():
        yield from in_threads(encode, groups, encoder.workers, encoder.workers + 1)


def text_batches(encoder: TextEncoder, text_of: Mapping[str, str], writer: Writer, batch_size: int) -> Iterator[Batch]:
    """Texts by length, so that a batch is padded little."""
    for keys in _grouped(sorted(text_of, key=lambda key: (len(text_of[key]), text_of[key])), batch_size):
        batch = Batch(keys, encoder.transform([text_of[key] for key in keys]), [OK] * len(keys))
        writer.add(batch.keys, batch.vectors, batch.statuses)
        yield batch


def _vectors(encoder: ImageEncoder, group: list[Prepared]) -> tuple[Vectors, list[str]]:
    """(n, d) and n statuses of prepared photos."""
    vectors = np.zeros((len(group), encoder.dim), dtype=np.float32)
    good = {row: one.pixels for row, one in enumerate(group) if one.pixels is not None}
    if good:
        vectors[list(good)] = encoder.encode(list(good.values()))
    return vectors, [one.status for one in group]


def _grouped(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    remaining = iter(items)
    while group := list(islice(remaining, size)):
        yield group
