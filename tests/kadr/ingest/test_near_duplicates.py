"""Tests for near-duplicates: pairs within and across splits, and the hash search with both FAISS indexes."""

from dataclasses import replace

import numpy as np
import pytest

from kadr.ingest.image_checks import ImageFile
from kadr.ingest.near_duplicates import DuplicatePair, find_near_duplicates, search_hashes
from kadr.io.image_signature import SIGNATURE_BYTES


def with_hashes(split: str, *hashes: int) -> list[ImageFile]:
    return [ImageFile(f"{split}{n}", "", split, phash=f"{bits:016x}", status="ok") for n, bits in enumerate(hashes)]


def test_near_duplicates_are_counted_within_and_across_splits() -> None:
    images = [
        *with_hashes("train", 0, 0b111, 2**64 - 1),
        *with_hashes("test", 0b1, 0b11111 << 20),
        ImageFile("missing", "", "test"),
    ]
    duplicates = find_near_duplicates(images, with_hashes("corpus", 2**64 - 2, 0b1), max_distance=3)
    assert {splits: tuple(pairs.to_metrics().values()) for splits, pairs in duplicates.items()} == {
        "within_train": (1, [["train0", "train1"]]),
        "within_test": (0, []),
        "within_corpus": (0, []),
        "train_test": (2, [["train0", "test0"], ["train1", "test0"]]),
        "corpus_train": (3, [["corpus0", "train2"], ["corpus1", "train0"], ["corpus1", "train1"]]),
        "corpus_test": (1, [["corpus1", "test0"]]),
    }


def test_all_pairs_of_equal_images_are_counted_and_some_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kadr.ingest.near_duplicates.MAX_LISTED_PAIRS", 100)
    train = with_hashes("train", *[5] * 30)
    within = find_near_duplicates(train, [], max_distance=0)["within_train"]
    assert (within.n, len(within.pairs), len(set(within.pairs))) == (435, 100, 100)
    assert within.pairs[0] == DuplicatePair("train0", "train1", 0)
    across = find_near_duplicates([*train, *with_hashes("test", *[4] * 9)], [], max_distance=1)["train_test"]
    assert (across.n, len(across.pairs), across.pairs[0]) == (270, 100, DuplicatePair("train0", "test0", 1))


@pytest.mark.parametrize("min_hashes", [0, 10**9])
@pytest.mark.parametrize("max_distance", [0, 1, 4, 5, 16])
def test_the_search_finds_all_near_pairs(max_distance: int, min_hashes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kadr.ingest.near_duplicates._MULTI_HASH_MIN_HASHES", min_hashes)
    monkeypatch.setattr("kadr.ingest.near_duplicates._BATCH", 30)
    rng = np.random.default_rng(max_distance)
    left = rng.integers(0, 2**64, 80, dtype=np.uint64)
    flips = np.bitwise_or.reduce(np.uint64(1) << rng.integers(0, 64, (20, 80)).astype(np.uint64))
    right = left ^ (flips & rng.integers(0, 2**64, 80, dtype=np.uint64))
    distance = np.bitwise_count(left[:, None] ^ right[None, :])
    expected = [(row, column, distance[row, column]) for row, column in np.argwhere(distance <= max_distance).tolist()]
    batches = search_hashes(left, right, max_distance)
    pairs = [pair for batch in batches for pair in zip(*map(np.ndarray.tolist, batch), strict=True)]
    assert pairs == expected


def test_images_with_equal_hashes_and_different_signatures_are_not_near_duplicates() -> None:
    signatures = [bytes(SIGNATURE_BYTES), bytes(SIGNATURE_BYTES - 1) + b"\x80"]
    train = [replace(image, signature=signatures[n % 2]) for n, image in enumerate(with_hashes("train", *[7] * 5))]
    (test,) = (replace(image, signature=signatures[1]) for image in with_hashes("test", 7))
    duplicates = find_near_duplicates([*train, test], [], max_distance=4)
    assert duplicates["within_train"].to_metrics() == {
        "n": 4,
        "first": [["train0", "train2"], ["train0", "train4"], ["train1", "train3"], ["train2", "train4"]],
    }
    assert duplicates["train_test"].to_metrics() == {"n": 2, "first": [["train1", "test0"], ["train3", "test0"]]}


def test_no_hashes_have_no_near_pairs() -> None:
    none = np.array([], dtype=np.uint64)
    some = np.array([1], dtype=np.uint64)
    for left, right in ((none, none), (none, some), (some, none)):
        assert list(search_hashes(left, right, 4)) == []
