"""Read and preprocess images in threads while earlier images are encoded."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar, get_args

from kadr.embed.shards import OK
from kadr.encoders.base import ImageEncoder, Pixels
from kadr.errors import FileProblem, ImageFileError, UndecodableError
from kadr.io.image_decoding import decode_image, read_image_bytes
from kadr.io.storage import Location

FILE_PROBLEMS = get_args(FileProblem)
"""Statuses of images whose files cannot be used now. These statuses are not stored in the cache."""

_MAX_THREADS = 16

Item = TypeVar("Item")
Result = TypeVar("Result")
Preprocess = Callable[[bytes, Location], Pixels]


@dataclass(frozen=True)
class ImageToEmbed:
    """An image to embed.

    Attributes:
        path: path or URI of the file.
        sha256: SHA-256 hash of the file, computed by the `ingest` stage. The hash is the cache key.
    """

    path: str
    sha256: str


@dataclass(frozen=True)
class PreprocessedImage:
    """Result of preprocessing an image: input for the encoder, or the reason why the image cannot be decoded.

    Attributes:
        image: path and hash of the image.
        pixels: input array of the encoder, or None if the image cannot be decoded.
        status: `ok`, or the reason why the image cannot be used.
    """

    image: ImageToEmbed
    pixels: Pixels | None
    status: str


def map_in_threads(
    function: Callable[[Item], Result], items: Iterable[Item], n_threads: int, ahead: int
) -> Iterator[Result]:
    """Apply a function to items in threads, and yield the results in the order of the items.

    Args:
        function: function to apply to each item.
        items: items to process. The iterable is consumed lazily.
        n_threads: number of threads.
        ahead: maximum number of items that are submitted to the threads before their results are yielded.
    """
    with ThreadPoolExecutor(n_threads) as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            for item in items:
                if len(waiting) >= ahead:
                    yield waiting.popleft().result()
                waiting.append(pool.submit(function, item))
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def preprocess_images(
    images: Iterable[ImageToEmbed], encoder: ImageEncoder, ahead: int, *, skip_unreadable: bool = False
) -> Iterator[PreprocessedImage]:
    """Read and preprocess images in threads, and yield them in their original order.

    Args:
        images: images to embed.
        encoder: encoder whose preprocessing is applied.
        ahead: maximum number of images to preprocess in advance.
        skip_unreadable: whether a missing or changed file gets a status from FILE_PROBLEMS instead of an error.

    Raises:
        ImageFileError: an image file is missing or has changed since the `ingest` stage.
    """
    threads = min(_MAX_THREADS, os.cpu_count() or 1)
    preprocess = partial(_preprocess, encoder.preprocess_bytes, skip_unreadable=skip_unreadable)
    return map_in_threads(preprocess, images, threads, ahead)


def preprocess_on_cpu(
    image: ImageToEmbed, encoder: ImageEncoder, *, skip_unreadable: bool = False
) -> PreprocessedImage:
    """Decode and preprocess an image on the CPU, even if the encoder decodes JPEGs on a GPU.

    Raises:
        ImageFileError: the image file is missing or has changed since the `ingest` stage.
    """

    def preprocess(content: bytes, path: Location) -> Pixels:
        return encoder.preprocess(decode_image(content, path, encoder.shorter_side, limits=encoder.decoding))

    return _preprocess(preprocess, image, skip_unreadable=skip_unreadable)


def _preprocess(preprocess: Preprocess, image: ImageToEmbed, *, skip_unreadable: bool) -> PreprocessedImage:
    try:
        pixels = preprocess(read_image_bytes(image.path, image.sha256), image.path)
    except UndecodableError as error:
        return PreprocessedImage(image, None, error.status)
    except ImageFileError as error:
        if not skip_unreadable:
            raise
        return PreprocessedImage(image, None, error.status)
    return PreprocessedImage(image, pixels, OK)
