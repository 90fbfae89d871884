"""The serve part's batches: searches that come at the same time share one pass through the encoders.

A search runs in a thread. Whoever asks while it is at work waits for the next one, which takes all who wait: nobody
waits for a batch to fill, and the busier the server, the larger the batches.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")

LARGEST = 64


class Batcher(Generic[Item, Answer]):
    """Answers items in batches.

    Args:
        run: n items to their n answers, in a thread; raises for the whole batch.
    """

    def __init__(self, run: Callable[[Sequence[Item]], Sequence[Answer]]) -> None:
        self._run = run
        self._waiting: deque[tuple[Item, asyncio.Future[Answer]]] = deque()
        self._some = asyncio.Event()

    async def ask(self, item: Item) -> Answer:
        """The answer to `item`. Raises what `run` raised for it."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        self._some.set()
        return await answer

    async def work(self) -> None:
        """Answer until cancelled."""
        while True:
            await self._some.wait()
            batch = [self._waiting.popleft() for _ in range(min(LARGEST, len(self._waiting)))]
            if not self._waiting:
                self._some.clear()
            await self._answer([(item, answer) for item, answer in batch if not answer.done()])

    async def _answer(self, batch: list[tuple[Item, "asyncio.Future[Answer]"]]) -> None:
        """Answer one batch; where it fails, each item by itself, so that a bad one spoils no other."""
        if not batch:
            return
        try:
            answers = await asyncio.to_thread(self._run, [item for item, _ in batch])
        except Exception as error:
            if len(batch) > 1:
                for one in batch:
                    await self._answer([one])
            elif not batch[0][1].done():
                batch[0][1].set_exception(error)
            return
        for (_, answer), found in zip(batch, answers, strict=True):
            if not answer.done():
                answer.set_result(found)
