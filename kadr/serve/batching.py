"""Dynamic batching: process waiting requests together.

A worker thread processes one batch at a time. Requests that arrive while a batch is running form the next batch. A
request never waits for a batch to fill up, and batches become larger as the load grows.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

MAX_BATCH_SIZE = 64


class Batcher(Generic[Item, Result]):
    """A queue whose items are processed in batches.

    Args:
        process: function that maps n items to n results, in the same order. The batcher calls the function in a worker
            thread. If the function raises an exception, the batcher processes the items one by one.
    """

    def __init__(self, process: Callable[[Sequence[Item]], Sequence[Result]]) -> None:
        self._process = process
        self._queue: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._has_items = asyncio.Event()

    async def submit(self, item: Item) -> Result:
        """Add an item to the queue and wait for its result.

        Args:
            item: item to process.

        Returns:
            The result for the item.

        Raises:
            Exception: the exception that `process` raised for this item.
        """
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._queue.append((item, future))
        self._has_items.set()
        return await future

    async def run(self) -> None:
        """Process batches until the asyncio task is cancelled."""
        while True:
            await self._has_items.wait()
            batch = [self._queue.popleft() for _ in range(min(MAX_BATCH_SIZE, len(self._queue)))]
            if not self._queue:
                self._has_items.clear()
            await self._process_batch([(item, future) for item, future in batch if not future.done()])

    async def _process_batch(self, batch: list[tuple[Item, "asyncio.Future[Result]"]]) -> None:
        """Process one batch. If the batch fails, process its items one by one, so that only invalid items fail."""
        if not batch:
            return
        try:
            results = await asyncio.to_thread(self._process, [item for item, _ in batch])
        except Exception as error:
            if len(batch) > 1:
                for entry in batch:
                    await self._process_batch([entry])
            elif not batch[0][1].done():
                batch[0][1].set_exception(error)
            return
        for (_, future), result in zip(batch, results, strict=True):
            if not future.done():
                future.set_result(result)
