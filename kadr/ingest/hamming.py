"""The ingest part's search for near hashes: all pairs of 64-bit codes that differ in few bits, without all pairs.

Multi-index hashing (Norouzi, Punjani and Fleet 2012): of `bits + 1` bands of a code at least one is equal in two codes
that differ in at most `bits` bits, so only pairs with an equal band are compared.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import numpy.typing as npt

MAX_BITS = 16
_BLOCK = 4_000_000  # pairs compared at once, about 200 MB

Codes = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]


def near_codes(left: Codes, right: Codes, bits: int) -> Iterator[tuple[Places, Places, Places]]:
    """Blocks of all pairs of a left and a right code that differ in at most `bits` bits, each pair once.

    Args:
        left: (n,) codes.
        right: (m,) codes.
        bits: at most MAX_BITS.

    Yields:
        Places in left, places in right, and in how many bits they differ.
    """
    bands = _bands(bits + 1)
    for number, (shift, mask) in enumerate(bands):
        keys = (right >> shift) & mask
        order = np.argsort(keys, kind="stable")
        wanted = (left >> shift) & mask
        low, high = (np.searchsorted(keys[order], wanted, side=side) for side in ("left", "right"))
        for start, stop in _blocks(high - low):
            n = (high - low)[start:stop]
            rows = np.repeat(np.arange(start, stop), n)
            columns = order[np.arange(n.sum()) - np.repeat(np.cumsum(n) - n, n) + np.repeat(low[start:stop], n)]
            difference = left[rows] ^ right[columns]
            distance = np.bitwise_count(difference).astype(np.int64)
            near = distance <= bits
            for earlier_shift, earlier_mask in bands[:number]:  # a pair with an earlier equal band was yielded there
                near &= (difference >> earlier_shift) & earlier_mask != 0
            yield rows[near], columns[near], distance[near]


def _bands(n: int) -> list[tuple[np.uint64, np.uint64]]:
    """Shift and mask of n bands that part 64 bits."""
    edges = [64 * number // n for number in range(n + 1)]
    return [(np.uint64(low), np.uint64(2 ** (high - low) - 1)) for low, high in pairwise(edges)]


def _blocks(counts: Places) -> Iterator[tuple[int, int]]:
    """Ranges of rows with about _BLOCK pairs each; one row is never parted."""
    ends = np.cumsum(counts)
    start = 0
    while start < len(counts):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + _BLOCK, side="right")))
        yield start, stop
        start = stop
