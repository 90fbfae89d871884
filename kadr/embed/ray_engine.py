"""Fill the embedding cache with Ray actors, on one machine or on a cluster.

The batches have the same order and composition as those of the local engine, so both engines compute the same vectors.
After the Ray actors have finished, the local engine computes the vectors that are still missing. Every node needs
`kadr[ray]`, the project folder at the same path, and access to the cache and the images.
"""

import logging
import os
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa

from kadr.embed.cache import EmbeddingCache
from kadr.embed.compaction import compact
from kadr.embed.compute import EmbeddedBatch, embed_image_batches, embed_text_batches
from kadr.embed.reader import FILE_PROBLEMS, ImageToEmbed
from kadr.embed.runner import FillCache
from kadr.embed.shards import OK
from kadr.embed.writer import ShardWriter
from kadr.encoders.allocator import keep_freed_memory
from kadr.encoders.base import ImageEncoder, TextEncoder
from kadr.errors import EncoderError
from kadr.params import EmbedParams, RayParams
from kadr.progress import progress

_BATCHES_PER_CALL = 8  # enough to decode images during the forward pass, and few enough to lose little if a node dies
_CONNECT_S = 10.0  # seconds to wait for a cluster. Ray itself waits for minutes.

LoadEncoder = Callable[[], ImageEncoder] | Callable[[], TextEncoder]
RayBatch = dict[str, np.ndarray[Any, Any]]


class RayWorker:
    """Ray actor that loads an encoder once, and writes the vectors of its batches to the cache.

    Args:
        load: function that loads the encoder.
        cache: cache of the encoder.
        batch_size: number of images or texts per forward pass.
        folder: project folder. Relative image paths are relative to the project folder.

    Raises:
        EncoderError: the encoder on this node differs from the encoder of the driver.
    """

    def __init__(self, load: LoadEncoder, cache: EmbeddingCache, batch_size: int, folder: str) -> None:
        with suppress(FileNotFoundError):
            os.chdir(folder)
        keep_freed_memory()
        self._encoder = load()
        if self._encoder.identity.key != cache.identity.key:
            raise EncoderError(
                f"{self._encoder.identity.encoder} on this node differs from the encoder of the driver. Install the "
                "same weights and the same version of kadr on all nodes. If the nodes have different processors, set "
                "`precision: fp32`."
            )
        self._writer = ShardWriter(cache)
        self._batch_size = batch_size

    def __call__(self, rows: RayBatch) -> RayBatch:
        """Embed images or texts, and write their vectors to the cache.

        Image files that are missing or have changed are left to the local engine, which has the same rules for them
        with and without Ray.

        Args:
            rows: table with the columns `key` and `content`. The column `content` contains texts or image paths.

        Returns:
            Table with the column `status`, which contains the status of each key.
        """
        content_by_key = dict(zip(rows["key"].tolist(), rows["content"].tolist(), strict=True))
        statuses = [status for batch in self._embed(content_by_key) for status in batch.statuses]
        return {"status": np.array(statuses, dtype=object)}

    def _embed(self, content_by_key: Mapping[str, str]) -> Iterable[EmbeddedBatch]:
        if isinstance(self._encoder, TextEncoder):
            return embed_text_batches(self._encoder, content_by_key, self._writer, self._batch_size)
        images = [ImageToEmbed(path, key) for key, path in content_by_key.items()]
        return embed_image_batches(self._encoder, images, self._writer, self._batch_size, skip_unreadable=True)


def choose_engine(params: EmbedParams, load: LoadEncoder, cache: EmbeddingCache, batch_size: int) -> FillCache | None:
    """Return the function that fills the cache before the local engine runs.

    Args:
        params: section `embed` of params.yaml.
        load: function that loads the encoder.
        cache: cache of the encoder.
        batch_size: number of images or texts per forward pass.

    Returns:
        The function `fill_cache_with_ray` with these arguments, or None if `embed.engine` is `local`.
    """
    if params.engine == "local":
        return None
    return partial(fill_cache_with_ray, load=load, cache=cache, batch_size=batch_size, params=params.ray)


def fill_cache_with_ray(
    content_by_key: Mapping[str, str],
    *,
    load: LoadEncoder,
    cache: EmbeddingCache,
    batch_size: int,
    params: RayParams,
) -> int:
    """Use Ray to compute the embeddings that the cache does not contain.

    Args:
        content_by_key: mapping from cache keys to image paths, image URIs or texts, in the order of the local engine.
        load: picklable function that loads the encoder on any node.
        cache: cache of the encoder, on a shared disk or in object storage.
        batch_size: number of images or texts per forward pass.
        params: section `embed.ray` of params.yaml.

    Returns:
        The number of computed vectors.

    Raises:
        EncoderError: Ray is not installed, no cluster responds at `embed.ray.address`, or an actor raised a KadrError.
    """
    keys = list(content_by_key)
    missing = [key for key, status in zip(keys, cache.read_statuses(keys), strict=True) if not status]
    if not missing:
        return 0
    table = pa.table({"key": missing, "content": [content_by_key[key] for key in missing]})
    n_computed = 0
    with _connect(params.address), progress("embed on Ray", len(missing)) as advance:
        for rows in _run_actors(table, (load, cache, batch_size, os.getcwd()), params):
            statuses = rows["status"].tolist()
            n_computed += statuses.count(OK)
            advance(sum(status not in FILE_PROBLEMS for status in statuses))
    compact(cache.shards)
    return n_computed


@contextmanager
def _connect(address: str | None) -> Iterator[None]:
    """Connect to a Ray cluster, or start Ray on this machine. An existing connection is used and kept open.

    Raises:
        EncoderError: Ray is not installed, no cluster responds, or an actor raised a KadrError.
    """
    try:
        import ray
    except ImportError as error:
        raise EncoderError(
            "embed.engine is ray, but Ray is not installed. Install it with `pip install 'kadr[ray]'`."
        ) from error
    started = not ray.is_initialized()
    try:
        if started:
            _check_address(address or "")
            ray.init(address=address, logging_level=logging.WARNING, log_to_driver=False, include_dashboard=False)
    except (OSError, ValueError) as error:  # ConnectionError is an OSError
        raise EncoderError(
            f"embed.ray.address: no Ray cluster responds at {address} ({error}). Start a cluster with `ray start "
            "--head`, correct the address, or set it to null to start Ray on this machine."
        ) from error
    try:
        yield
    except ray.exceptions.RayError as error:  # its text contains the traceback of the actor
        messages = [line.partition(": ")[2] for line in str(error).splitlines() if line.startswith("kadr.errors.")]
        if not messages:
            raise
        raise EncoderError(f"An actor of Ray failed: {messages[-1]}") from error
    finally:
        if started:
            ray.shutdown()


def _check_address(address: str) -> None:
    """Raise OSError if nothing listens at an address HOST:PORT or ray://HOST:PORT."""
    url = urlsplit(address if "://" in address else f"//{address}")
    if url.hostname and url.port:
        socket.create_connection((url.hostname, url.port), _CONNECT_S).close()


def _run_actors(table: pa.Table, arguments: tuple[Any, ...], params: RayParams) -> Iterable[RayBatch]:
    """Embed the rows of a table with Ray actors, and yield the computed keys. Ray retries the calls of dead actors."""
    import ray.data

    rows_per_call = arguments[2] * _BATCHES_PER_CALL
    ray.data.DataContext.get_current().enable_progress_bars = False
    blocks = [table.slice(start, rows_per_call) for start in range(0, len(table), rows_per_call)]
    computed = ray.data.from_arrow(blocks).map_batches(
        RayWorker,
        fn_constructor_args=arguments,
        batch_size=None,
        compute=ray.data.ActorPoolStrategy(size=params.actors),
        num_cpus=params.cpus,
        num_gpus=params.gpus,
    )
    return computed.iter_batches(batch_size=None)  # type: ignore[return-value]
