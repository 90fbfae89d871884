"""The ingest part's near-duplicates: pairs of photos whose perceptual hashes differ in few bits."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kadr.ingest.photos import Photo

SHOWN = 10
_BLOCK = 4_000_000  # pairs compared at once, 32 MB


@dataclass(frozen=True)
class NearDuplicates:
    """How many pairs there are, and the first of them by id."""

    n: int
    first: list[list[str]]


def count_near_duplicates(photos: Sequence[Photo], corpus: Sequence[Photo], bits: int) -> dict[str, NearDuplicates]:
    """Near-duplicates within and across the splits.

    A pair across train and test is a leak; it is reported, not mended: the train side stays. A corpus photo that is
    nearly a test photo leaks its captions to whatever is learned from captioned neighbours.

    Args:
        photos: of train and test.
        corpus: the captioned photos.
        bits: hashes that differ in at most so many of 64 are near-duplicates.
    """
    split = {name: [photo for photo in photos if photo.split == name] for name in ("train", "test")}
    return {
        "within_train": _pairs(split["train"], split["train"], bits),
        "within_test": _pairs(split["test"], split["test"], bits),
        "train_test": _pairs(split["train"], split["test"], bits),
        "corpus_train": _pairs(corpus, split["train"], bits),
        "corpus_test": _pairs(corpus, split["test"], bits),
    }


def _pairs(left: Sequence[Photo], right: Sequence[Photo], bits: int) -> NearDuplicates:
    """Pairs (left, right); where both are the same photos, each pair once and none of a photo with itself."""
    same = left is right
    left, right = ([photo for photo in side if photo.status == "ok"] for side in (left, right))
    left_hashes, right_hashes = _hashes(left), _hashes(right)
    n = 0
    first: list[list[str]] = []
    step = max(1, _BLOCK // max(1, len(right)))
    for start in range(0, len(left), step):
        distance = np.bitwise_count(left_hashes[start : start + step, None] ^ right_hashes[None, :])
        rows, columns = np.nonzero(np.triu(distance <= bits, start + 1) if same else distance <= bits)
        n += len(rows)
        places = zip(rows[: SHOWN - len(first)], columns[: SHOWN - len(first)], strict=True)
        first += [[left[start + row].image_id, right[column].image_id] for row, column in places]
    return NearDuplicates(n, first)


def _hashes(photos: Sequence[Photo]) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    return np.array([int(photo.phash or "0", 16) for photo in photos], dtype=np.uint64)
