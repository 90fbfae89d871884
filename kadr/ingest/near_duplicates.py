"""The ingest part's near-duplicates: pairs of photos whose perceptual hashes differ in few bits."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, islice, product

import numpy as np

from kadr.ingest.hamming import Codes, near_codes
from kadr.ingest.image_checks import Photo

SHOWN = 10
LISTED = 10_000  # pairs of two splits at most; all of them are counted


@dataclass(frozen=True)
class Twin:
    """Two photos that are nearly the same, or two texts that are; `distance` in bits of the hash, None for texts."""

    left_id: str
    right_id: str
    distance: int | None


@dataclass(frozen=True)
class Twins:
    """How many pairs there are, and the first LISTED of them, sorted by id."""

    n: int
    pairs: Sequence[Twin]

    def figures(self) -> dict[str, object]:
        """The count and the first pairs, for metrics."""
        return {"n": self.n, "first": [[twin.left_id, twin.right_id] for twin in self.pairs[:SHOWN]]}


def find_near_duplicates(photos: Sequence[Photo], corpus: Sequence[Photo], bits: int) -> dict[str, Twins]:
    """Near-duplicates within and across the splits.

    A pair across train and test is a leak; it is reported, not mended: the train side stays. A corpus photo that is
    nearly a test photo leaks its captions to whatever is learned from captioned neighbours.

    Args:
        photos: of train and test.
        corpus: the captioned photos.
        bits: hashes that differ in at most so many of 64 are near-duplicates.
    """
    train, test, captioned = (
        _by_hash([photo for photo in of if photo.split == split])
        for of, split in ((photos, "train"), (photos, "test"), (corpus, "corpus"))
    )
    return {
        "within_train": _twins(train, train, bits),
        "within_test": _twins(test, test, bits),
        "within_corpus": _twins(captioned, captioned, bits),
        "train_test": _twins(train, test, bits),
        "corpus_train": _twins(captioned, train, bits),
        "corpus_test": _twins(captioned, test, bits),
    }


def _by_hash(photos: Sequence[Photo]) -> dict[int, list[str]]:
    """Sorted ids of the good photos of each hash, the hash of the first photo first."""
    found: dict[int, list[str]] = {}
    for photo in sorted(photos, key=lambda photo: photo.image_id):
        if photo.status == "ok" and photo.phash is not None:
            found.setdefault(int(photo.phash, 16), []).append(photo.image_id)
    return found


def _twins(left: Mapping[int, list[str]], right: Mapping[int, list[str]], bits: int) -> Twins:
    """Pairs (left, right); where both are the same photos, each pair once and none of a photo with itself."""
    same = left is right
    left_ids, right_ids = list(left.values()), list(right.values())
    left_sizes, right_sizes = (np.array([len(ids) for ids in groups], np.int64) for groups in (left_ids, right_ids))
    n = 0
    pairs: list[Twin] = []
    for rows, columns, distances in near_codes(_codes(left), _codes(right), bits):
        sizes = left_sizes[rows] * right_sizes[columns]
        if same:  # each pair stands twice, and each photo once beside itself
            sizes = np.where(rows == columns, sizes - left_sizes[rows], 2 * sizes * (rows < columns)) // 2
        n += int(sizes.sum())
        found = np.flatnonzero(sizes)[: LISTED - len(pairs)]
        for row, column, distance in zip(
            *(places[found].tolist() for places in (rows, columns, distances)), strict=True
        ):
            twins = _pairs(left_ids[row], right_ids[column], distance, ordered=same)
            pairs += islice(twins, LISTED - len(pairs))
    return Twins(n, sorted(pairs, key=lambda twin: (twin.left_id, twin.right_id)))


def _pairs(left: Sequence[str], right: Sequence[str], distance: int, *, ordered: bool) -> Iterator[Twin]:
    """The pairs of two groups of ids, the lower id left where `ordered`; in the same group each pair once."""
    for one, other in combinations(left, 2) if left is right else product(left, right):
        yield Twin(min(one, other), max(one, other), distance) if ordered else Twin(one, other, distance)


def _codes(photos: Mapping[int, list[str]]) -> Codes:
    return np.array(list(photos), dtype=np.uint64)
