"""The embed part on Ray: actors on one machine or a cluster put into the cache what it lacks, in the same shards.

What Ray does not get to, the local engine computes afterwards: the cache is all that the two share. Every node needs
kadr[ray], the project's folder at the same path, and the cache and the photos within reach.
"""

import logging
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from kadr.embed.cache import EmbeddingCache
from kadr.embed.compaction import compact
from kadr.embed.compute import Batch, photo_batches, text_batches
from kadr.embed.reader import Photo
from kadr.embed.runner import Fill
from kadr.embed.writer import Writer
from kadr.encoders.allocator import keep_freed_memory
from kadr.encoders.base import ImageEncoder, TextEncoder
from kadr.errors import EncoderError
from kadr.params import EmbedParams, RayParams
from kadr.progress import progress

_BATCHES_AT_ONCE = 8  # of an actor's call: enough to decode beside the forward pass, little to lose with a node

Load = Callable[[], ImageEncoder] | Callable[[], TextEncoder]
Rows = dict[str, np.ndarray[Any, Any]]


class Worker:
    """What an actor holds: the encoder, loaded once, and the cache.

    Args:
        load: gives the encoder.
        cache: the driver's, of the same encoder.
        batch_size: photos or texts in a forward pass.
        folder: the project's, in which relative paths are looked up.
    """

    def __init__(self, load: Load, cache: EmbeddingCache, batch_size: int, folder: str) -> None:
        with suppress(FileNotFoundError):
            os.chdir(folder)
        keep_freed_memory()
        self._encoder = load()
        if self._encoder.identity.key != cache.identity.key:
            raise EncoderError(
                f"{self._encoder.identity.encoder} on this node is not what the driver loaded; give all nodes the same "
                "weights and the same kadr, and fix embed precision where their processors differ"
            )
        self._writer = Writer(cache)
        self._batch_size = batch_size

    def __call__(self, rows: Rows) -> Rows:
        """Embed rows of (key, content), a content being a path or a text, into the cache; their keys."""
        content_of = dict(zip(rows["key"].tolist(), rows["content"].tolist(), strict=True))
        done = [key for batch in self._batches(content_of) for key in batch.keys]
        return {"key": np.array(done, dtype=object)}

    def _batches(self, content_of: Mapping[str, str]) -> Iterable[Batch]:
        if isinstance(self._encoder, TextEncoder):
            return text_batches(self._encoder, content_of, self._writer, self._batch_size)
        photos = [Photo(path, key) for key, path in content_of.items()]
        return photo_batches(self._encoder, photos, self._writer, self._batch_size)


def by_engine(params: EmbedParams, load: Load, cache: EmbeddingCache, batch_size: int) -> Fill | None:
    """What fills the cache before the local engine does: Ray where `params` say so, else nothing."""
    if params.engine == "local":
        return None
    return partial(fill_by_ray, load=load, cache=cache, batch_size=batch_size, params=params.ray)


def fill_by_ray(
    content_of: Mapping[str, str], *, load: Load, cache: EmbeddingCache, batch_size: int, params: RayParams
) -> None:
    """Compute on Ray the keys of `content_of` that the cache lacks.

    Args:
        content_of: key -> the path or URI of its photo, or its text.
        load: gives the encoder on any node; it must pickle.
        cache: of that encoder, on a disk that all nodes share or in object storage.
        batch_size: photos or texts in a forward pass.
        params: the section `embed.ray`.

    Raises:
        EncoderError: where Ray is not installed.
    """
    keys = list(content_of)
    missing = [keys[row] for row in cache.lookup(keys).missing]
    if not missing:
        return
    try:
        import ray
    except ImportError as error:
        raise EncoderError("embed.engine: ray wants Ray; install it with `pip install 'kadr[ray]'`") from error
    started = not ray.is_initialized()
    if started:
        ray.init(address=params.address, logging_level=logging.WARNING, log_to_driver=False, include_dashboard=False)
    try:
        table = pa.table({"key": missing, "content": [content_of[key] for key in missing]})
        with progress("embed by ray", len(missing)) as advance:
            for rows in _computed(table, (load, cache, batch_size, os.getcwd()), params):
                advance(len(rows["key"]))
    finally:
        if started:
            ray.shutdown()
    compact(cache.shards)


def _computed(table: pa.Table, worker: tuple[Any, ...], params: RayParams) -> Iterable[Rows]:
    """Keys as actors finish them; a call whose actor dies is made again by another one."""
    import ray.data

    at_once = worker[2] * _BATCHES_AT_ONCE
    ray.data.DataContext.get_current().enable_progress_bars = False
    blocks = [table.slice(start, at_once) for start in range(0, len(table), at_once)]
    done = ray.data.from_arrow(blocks).map_batches(
        Worker,
        fn_constructor_args=worker,
        batch_size=None,
        compute=ray.data.ActorPoolStrategy(size=params.actors),
        num_cpus=params.cpus,
        num_gpus=params.gpus,
    )
    return done.iter_batches(batch_size=None)  # type: ignore[return-value]
