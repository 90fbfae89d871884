"""Tests of dynamic batching: batch sizes, invalid items and cancelled items."""

import asyncio

import pytest

from kadr.serve.batching import MAX_BATCH_SIZE, Batcher


class SquareBatcher:
    """Function that squares numbers and records its batches. A batch that contains 3 raises ValueError."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []

    def __call__(self, numbers: list[int]) -> list[int]:
        self.batches.append(list(numbers))
        if 3 in numbers:
            raise ValueError("three")
        return [number * number for number in numbers]


async def submit_all(square: SquareBatcher, numbers: range) -> list[object]:
    batcher = Batcher(square)
    task = asyncio.create_task(batcher.run())
    results = await asyncio.gather(*(batcher.submit(number) for number in numbers), return_exceptions=True)
    task.cancel()
    return list(results)


def test_concurrent_items_share_batches_up_to_the_maximum_size() -> None:
    square = SquareBatcher()
    numbers = range(10, 10 + MAX_BATCH_SIZE + 5)
    assert asyncio.run(submit_all(square, numbers)) == [number * number for number in numbers]
    assert [len(batch) for batch in square.batches] == [MAX_BATCH_SIZE, 5]


def test_an_invalid_item_fails_alone() -> None:
    square = SquareBatcher()
    results = asyncio.run(submit_all(square, range(6)))
    assert isinstance(results.pop(3), ValueError)
    assert results == [0, 1, 4, 16, 25]
    assert square.batches == [[0, 1, 2, 3, 4, 5], [0], [1], [2], [3], [4], [5]]


def test_a_cancelled_item_is_not_processed() -> None:
    square = SquareBatcher()

    async def cancel_first() -> None:
        batcher = Batcher(square)
        cancelled = asyncio.create_task(batcher.submit(1))
        await asyncio.sleep(0)
        cancelled.cancel()
        task = asyncio.create_task(batcher.run())
        assert await batcher.submit(2) == 4
        task.cancel()

    asyncio.run(cancel_first())
    assert square.batches == [[2]]


def test_the_batcher_continues_after_a_failed_batch() -> None:
    async def fail_then_succeed() -> int:
        batcher = Batcher(SquareBatcher())
        task = asyncio.create_task(batcher.run())
        with pytest.raises(ValueError, match="three"):
            await batcher.submit(3)
        result = await batcher.submit(4)
        task.cancel()
        return result

    assert asyncio.run(fail_then_succeed()) == 16
