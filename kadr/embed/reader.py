"""The embed part's reader: photos decoded and prepared in threads, a bounded number ahead of the forward pass."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from kadr.embed.shards import OK
from kadr.encoders.base import ImageEncoder, Pixels
from kadr.errors import UndecodableError
from kadr.io.image_decoding import decode, read_content
from kadr.io.storage import Location

_MAX_THREADS = 16

Item = TypeVar("Item")
Result = TypeVar("Result")
Read = Callable[[bytes, Location], Pixels]


@dataclass(frozen=True)
class Photo:
    """A photo to embed: its path or URI, and the sha256 that ingest saw, which is its key in the cache."""

    path: str
    sha256: str


@dataclass(frozen=True)
class Prepared:
    """A photo as its encoder wants it, or the status that says why it cannot be."""

    photo: Photo
    pixels: Pixels | None
    status: str


def in_threads(work: Callable[[Item], Result], items: Iterable[Item], threads: int, ahead: int) -> Iterator[Result]:
    """`work(item)` of each item, in order; at most `ahead` are worked on or waiting."""
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            for item in items:
                if len(waiting) >= ahead:
                    yield waiting.popleft().result()
                waiting.append(pool.submit(work, item))
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def prepared(photos: Iterable[Photo], encoder: ImageEncoder, ahead: int) -> Iterator[Prepared]:
    """Photos as `encoder` wants them, in order, at most `ahead` in advance.

    Raises:
        InputError: by the first photo, in order, that is gone or has changed since ingest.
    """
    return in_threads(partial(_prepare, encoder.read), photos, min(_MAX_THREADS, os.cpu_count() or 1), ahead)


def decoded(photo: Photo, encoder: ImageEncoder) -> Prepared:
    """A photo decoded here, where the encoder's own decoder cannot. Raises InputError."""
    return _prepare(lambda content, path: encoder.prepare(decode(content, path, encoder.side)), photo)


def _prepare(read: Read, photo: Photo) -> Prepared:
    try:
        return Prepared(photo, read(read_content(photo.path, photo.sha256), photo.path), OK)
    except UndecodableError as error:
        return Prepared(photo, None, error.status)
