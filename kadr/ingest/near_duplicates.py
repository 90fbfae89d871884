"""Find pairs of near-duplicate images, whose perceptual hashes differ in few bits and whose signatures agree."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, islice, product
from typing import Any

import numpy as np
import numpy.typing as npt

from kadr.ingest.image_checks import ImageFile
from kadr.io.image_signature import Mask, Signatures, is_near_duplicate, stack_signatures

MAX_LISTED_PAIRS = 10_000
"""Maximum number of listed pairs for each combination of two splits. The total includes pairs that are not listed."""

N_METRIC_PAIRS = 10
"""Maximum number of pairs that are listed in metrics/ingest.json for each combination of two splits."""

_HASH_BITS = 64
_MULTI_HASH_MIN_HASHES = 20_000
_MULTI_HASH_MAX_DISTANCE = 4
_BATCH = 256
_PAIR_BATCH = 100_000  # number of pairs whose signatures are compared at once

Hashes = npt.NDArray[np.uint64]
Positions = npt.NDArray[np.int64]

Groups = Mapping[tuple[int, bytes | None], list[str]]
"""Perceptual hash and visual signature -> sorted IDs of the images that have both."""


@dataclass(frozen=True)
class DuplicatePair:
    """Two near-duplicate images or two identical texts.

    Attributes:
        left_id: image_id, query_id or caption_id of the first image or text.
        right_id: image_id, query_id or caption_id of the second image or text.
        distance: number of bits in which the hashes of the images differ. None for texts.
    """

    left_id: str
    right_id: str
    distance: int | None


@dataclass(frozen=True)
class DuplicatePairs:
    """Pairs of near-duplicate images or identical texts, either within one split or between two splits.

    Attributes:
        n: total number of pairs.
        pairs: at most MAX_LISTED_PAIRS pairs, sorted by left_id and right_id.
    """

    n: int
    pairs: Sequence[DuplicatePair]

    def to_metrics(self) -> dict[str, object]:
        """Return the total number of pairs, and the IDs of the first N_METRIC_PAIRS pairs."""
        return {"n": self.n, "first": [[pair.left_id, pair.right_id] for pair in self.pairs[:N_METRIC_PAIRS]]}


def find_near_duplicates(
    images: Sequence[ImageFile], corpus: Sequence[ImageFile], max_distance: int
) -> dict[str, DuplicatePairs]:
    """Find near-duplicate images within each split and between the splits.

    A train image that is a near-duplicate of a test image is a leak. Leaks are reported but not removed. A corpus image
    that is a near-duplicate of a test image is also a leak, because models can be trained on the captions of the corpus
    image.

    Args:
        images: train and test images.
        corpus: images of the corpus.
        max_distance: maximum number of bits in which the 64-bit perceptual hashes of near-duplicates differ. Pairs with
            similar hashes whose visual signatures differ are not near-duplicates.

    Returns:
        Near-duplicate pairs for each combination of splits, e.g. within_train or train_test.
    """
    train, test, captioned = (
        _group_by_hash([image for image in candidates if image.split == split])
        for candidates, split in ((images, "train"), (images, "test"), (corpus, "corpus"))
    )
    return {
        "within_train": _find_pairs(train, train, max_distance),
        "within_test": _find_pairs(test, test, max_distance),
        "within_corpus": _find_pairs(captioned, captioned, max_distance),
        "train_test": _find_pairs(train, test, max_distance),
        "corpus_train": _find_pairs(captioned, train, max_distance),
        "corpus_test": _find_pairs(captioned, test, max_distance),
    }


def _group_by_hash(images: Sequence[ImageFile]) -> Groups:
    """Group the IDs of the valid images by perceptual hash and signature."""
    groups: dict[tuple[int, bytes | None], list[str]] = {}
    for image in sorted(images, key=lambda image: image.image_id):
        if image.status == "ok" and image.phash is not None:
            groups.setdefault((int(image.phash, 16), image.signature), []).append(image.image_id)
    return groups


def _find_pairs(left: Groups, right: Groups, max_distance: int) -> DuplicatePairs:
    """Find the near-duplicates between two groups of images.

    If `left` and `right` are the same object, count each pair once.
    """
    same = left is right
    left_ids, right_ids = list(left.values()), list(right.values())
    left_sizes, right_sizes = (np.array([len(ids) for ids in groups], np.int64) for groups in (left_ids, right_ids))
    left_hashes, right_hashes = (np.array([hash_ for hash_, _ in groups], np.uint64) for groups in (left, right))
    left_signatures, right_signatures = (stack_signatures([key[1] for key in groups]) for groups in (left, right))
    n = 0
    pairs: list[DuplicatePair] = []
    for batch in search_hashes(left_hashes, right_hashes, max_distance):
        wanted = batch[0] <= batch[1] if same else slice(None)  # `same` returns each pair in both orders
        rows, columns, distances = (values[wanted] for values in batch)
        agree = signatures_agree(left_signatures, right_signatures, rows, columns)
        rows, columns, distances = rows[agree], columns[agree], distances[agree]
        n_pairs = left_sizes[rows] * right_sizes[columns]
        if same:
            n_pairs = np.where(rows == columns, n_pairs - left_sizes[rows], 2 * n_pairs) // 2
        n += int(n_pairs.sum())
        listed = np.flatnonzero(n_pairs)[: MAX_LISTED_PAIRS - len(pairs)]
        for row, column, distance in zip(
            *(values[listed].tolist() for values in (rows, columns, distances)), strict=True
        ):
            group_pairs = _pair_ids(left_ids[row], right_ids[column], distance, ordered=same)
            pairs += islice(group_pairs, MAX_LISTED_PAIRS - len(pairs))
    return DuplicatePairs(n, sorted(pairs, key=lambda pair: (pair.left_id, pair.right_id)))


def signatures_agree(
    left: tuple[Signatures, Mask], right: tuple[Signatures, Mask], rows: Positions, columns: Positions
) -> Mask:
    """Return which pairs have signatures that agree. A pair without two known signatures agrees."""
    agree: Mask = ~(left[1][rows] & right[1][columns])
    for start in range(0, len(rows), _PAIR_BATCH):
        part = slice(start, start + _PAIR_BATCH)
        agree[part] |= is_near_duplicate(left[0][rows[part]], right[0][columns[part]])
    return agree


def _pair_ids(left: Sequence[str], right: Sequence[str], distance: int, *, ordered: bool) -> Iterator[DuplicatePair]:
    """Yield all pairs of one ID in `left` and one ID in `right`.

    If `ordered` is true, sort the two IDs of each pair.
    """
    for pair in combinations(left, 2) if left is right else product(left, right):
        left_id, right_id = sorted(pair) if ordered else pair
        yield DuplicatePair(left_id, right_id, distance)


def search_hashes(left: Hashes, right: Hashes, max_distance: int) -> Iterator[tuple[Positions, Positions, Positions]]:
    """Use FAISS to find all pairs of left and right hashes that differ in at most `max_distance` bits.

    If there are many hashes and `max_distance` is small, the search uses multi-index hashing (Norouzi, Punjani and
    Fleet 2012), which finds the same pairs as an exhaustive search. Multi-index hashing splits each hash into
    `max_distance + 1` bands. Two hashes that differ in at most `max_distance` bits are identical in at least one band.

    Args:
        left: (n,) 64-bit hashes.
        right: (m,) 64-bit hashes.
        max_distance: maximum number of bits in which the hashes of a pair differ.

    Yields:
        One tuple for each batch of left hashes: positions in `left`, positions in `right`, and distances in bits.
    """
    if not len(left) or not len(right):
        return
    import faiss

    index: Any = faiss.IndexBinaryFlat(_HASH_BITS)
    if len(right) >= _MULTI_HASH_MIN_HASHES and max_distance <= _MULTI_HASH_MAX_DISTANCE:
        n_bands = max_distance + 1
        index = faiss.IndexBinaryMultiHash(_HASH_BITS, n_bands, _HASH_BITS // n_bands)
    index.add(_to_bytes(right))
    for start in range(0, len(left), _BATCH):
        # range_search excludes hashes whose distance equals the radius
        limits, distances, columns = index.range_search(_to_bytes(left[start : start + _BATCH]), max_distance + 1)
        rows = np.repeat(np.arange(start, start + len(limits) - 1), (limits[1:] - limits[:-1]).astype(np.int64))
        order = np.lexsort((columns, rows))
        yield rows[order], columns[order].astype(np.int64), distances[order].astype(np.int64)


def _to_bytes(hashes: Hashes) -> npt.NDArray[np.uint8]:
    """Return 64-bit hashes as an (n, 8) array of bytes."""
    return np.ascontiguousarray(hashes).view(np.uint8).reshape(-1, _HASH_BITS // 8)
