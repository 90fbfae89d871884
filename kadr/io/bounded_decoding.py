"""Scan images in worker processes, with a limit on the time and the memory of each image.

A worker that exceeds a limit or crashes is replaced, and the other images are scanned.
"""

import logging
import multiprocessing.context
import multiprocessing.forkserver
import multiprocessing.popen_forkserver
import os
import sys
import threading
import types
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Generic, TypeVar

from pebble import ProcessExpired, ProcessFuture, ProcessPool

from kadr.errors import ImageProblem
from kadr.params import DecodingParams

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")
Scan = Callable[[Item, DecodingParams], Result]

_CHUNK_SIZE = 8  # number of images per task of a worker
_MAX_WAITING = 4  # number of tasks per worker that are submitted in advance
_PRELOADED = ["kadr.io.bounded_decoding", "kadr.io.image_scan"]
_MEGABYTE = 1_000_000


@dataclass(frozen=True)
class FailedScan:
    """An image whose scan exceeded a limit or ended its worker process.

    Attributes:
        status: reason why the image is not used.
    """

    status: ImageProblem


@dataclass(frozen=True)
class _Task(Generic[Item]):
    items: Sequence[Item]
    future: "ProcessFuture[Any]"


def prepare_workers(*modules: str) -> None:
    """Start to import the modules of the worker processes in the background, so that `scan_bounded` starts faster.

    Args:
        *modules: names of modules that the workers need in addition, such as the module of the scan function.
    """
    _PRELOADED.extend(name for name in modules if name not in _PRELOADED)
    multiprocessing.forkserver.set_forkserver_preload(_PRELOADED)
    multiprocessing.forkserver.ensure_running()


def scan_bounded(
    scan: Scan[Item, Result], items: Iterable[Item], limits: DecodingParams, max_workers: int | None = None
) -> Iterator[Result | FailedScan]:
    """Scan images in worker processes, and yield the results in the order of the items.

    Args:
        scan: function of an item and the limits. It must be importable from a module.
        items: images to scan. Items must be picklable.
        limits: limits on the time and memory of one image.
        max_workers: maximum number of worker processes. None for one process per CPU core.

    Yields:
        The result of `scan`, or a FailedScan if the scan exceeded a limit, raised an exception or ended its process.
    """
    n_workers = max_workers or _count_cores()
    remaining = iter(items)
    pool: ProcessPool | None = None
    waiting: deque[_Task[Item]] = deque()
    try:
        while True:
            while len(waiting) < n_workers * _MAX_WAITING and (chunk := list(islice(remaining, _CHUNK_SIZE))):
                pool = pool or _start_pool(n_workers, limits)
                waiting.append(_submit(pool, scan, chunk, limits))
            if pool is None or not waiting:
                return
            yield from _results(pool, scan, waiting.popleft(), limits)
    finally:
        if pool is not None:
            pool.stop()  # type: ignore[no-untyped-call]
            pool.join()


def _results(
    pool: ProcessPool, scan: Scan[Item, Result], task: _Task[Item], limits: DecodingParams
) -> list[Result | FailedScan]:
    """Return the results of one task. If the task fails, scan its images one by one."""
    try:
        results: list[Result | FailedScan] = task.future.result()
    except Exception as error:  # any failure of one image must not end the scan of all images
        if len(task.items) > 1:
            tasks = [_submit(pool, scan, [item], limits) for item in task.items]
            return [result for single in tasks for result in _results(pool, scan, single, limits)]
        if not isinstance(error, FutureTimeoutError | ProcessExpired):
            logger.warning("%s: the scan of this image failed (%s: %s)", task.items[0], type(error).__name__, error)
        return [FailedScan("too_slow" if isinstance(error, FutureTimeoutError) else "broken")]
    return results


def _submit(pool: ProcessPool, scan: Scan[Item, Result], items: Sequence[Item], limits: DecodingParams) -> _Task[Item]:
    return _Task(items, pool.schedule(_scan_chunk, args=(scan, items, limits), timeout=limits.seconds))


def _scan_chunk(scan: Scan[Item, Result], items: Sequence[Item], limits: DecodingParams) -> list[Result]:
    """Scan images one after another. This function runs in a worker process."""
    return [scan(item, limits) for item in items]


def _count_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _start_pool(n_workers: int, limits: DecodingParams) -> ProcessPool:
    prepare_workers()
    return ProcessPool(n_workers, context=_WorkerContext(), initializer=_start_worker, initargs=(limits.memory_mb,))


def _start_worker(memory_mb: int) -> None:
    """Let this worker process use `memory_mb` megabytes more than now, and a single thread for OpenCV."""
    import cv2

    cv2.setNumThreads(1)
    if sys.platform != "linux":  # other systems do not enforce this limit
        return
    import resource

    n_pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    _, hard_limit = resource.getrlimit(resource.RLIMIT_AS)
    limit = n_pages * resource.getpagesize() + memory_mb * _MEGABYTE
    if hard_limit != resource.RLIM_INFINITY:
        limit = min(limit, hard_limit)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard_limit))


class _WorkerProcess(multiprocessing.context.ForkServerProcess):
    """A process that does not import the main module of its parent.

    The main module may be slow to import, or a script without `if __name__ == "__main__"`.
    """

    @staticmethod
    def _Popen(process_obj: Any) -> Any:  # noqa: N802
        with _hidden_main_module():
            return multiprocessing.popen_forkserver.Popen(process_obj)


class _WorkerContext(multiprocessing.context.ForkServerContext):
    Process = _WorkerProcess


_main_module_lock = threading.Lock()


@contextmanager
def _hidden_main_module() -> Iterator[None]:
    with _main_module_lock:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = types.ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main
