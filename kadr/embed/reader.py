"""The embed part's reader: photos decoded and prepared in threads, a bounded number ahead of the forward pass."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from kadr.encoders.base import ImageEncoder, Pixels
from kadr.photos import read_photo

_MAX_THREADS = 16


@dataclass(frozen=True)
class Photo:
    """A photo to embed: where it is and the sha256 that ingest saw, which is its key in the cache."""

    path: Path
    sha256: str


def read_ahead(photos: Sequence[Photo], prepare: Callable[[Photo], Pixels], ahead: int) -> Iterator[Pixels]:
    """`prepare(photo)` of each photo, in order; at most `ahead` are worked on or waiting.

    Raises:
        InputError: by the first photo, in order, that cannot be read.
    """
    with ThreadPoolExecutor(min(_MAX_THREADS, os.cpu_count() or 1)) as pool:
        waiting: deque[Future[Pixels]] = deque()
        try:
            for photo in photos:
                if len(waiting) >= ahead:
                    yield waiting.popleft().result()
                waiting.append(pool.submit(prepare, photo))
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def preparing(encoder: ImageEncoder) -> Callable[[Photo], Pixels]:
    """The function that reads a photo and prepares it for `encoder`."""
    return lambda photo: encoder.prepare(read_photo(photo.path, photo.sha256))
