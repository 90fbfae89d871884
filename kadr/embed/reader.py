"""The embed part's reader: photos decoded and prepared in threads, a bounded number ahead of the forward pass."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from kadr.encoders.base import ImageEncoder, Pixels
from kadr.errors import UndecodableError
from kadr.photos import read_photo

_MAX_THREADS = 16

Item = TypeVar("Item")
Result = TypeVar("Result")


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
    """Photos prepared for `encoder`, in order, at most `ahead` in advance.

    Raises:
        InputError: by the first photo, in order, that is gone or has changed since ingest.
    """

    def prepare(photo: Photo) -> Prepared:
        try:
            image = read_photo(photo.path, photo.sha256, encoder.side)
        except UndecodableError as error:
            return Prepared(photo, None, error.status)
        return Prepared(photo, encoder.prepare(image), "ok")

    return in_threads(prepare, photos, min(_MAX_THREADS, os.cpu_count() or 1), ahead)
