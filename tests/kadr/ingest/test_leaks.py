"""Tests for leaks: identical texts across splits and folds, and the table of all leaks."""

import pandas as pd
import pytest

from kadr.ingest.leaks import find_equal_texts, leak_table
from kadr.ingest.near_duplicates import DuplicatePair, DuplicatePairs
from kadr.io.schemas import LEAKS

QUERIES = pd.DataFrame(
    [
        ("t2", "A dog", "train"),
        ("t1", "A dog", "train"),
        ("t3", "A cat", "train"),
        ("q1", "A dog", "test"),
        ("q2", "A cow", "test"),
        ("q3", "A cow", "test"),
    ],
    columns=["query_id", "text", "split"],
)
CAPTIONS = pd.DataFrame([("c#0", "A cow"), ("c#1", "A hen")], columns=["caption_id", "text"])


@pytest.mark.parametrize("step", [1, -1])
def test_equal_texts_are_paired_in_any_order_of_rows(step: int) -> None:
    pairs = find_equal_texts(QUERIES[::step], CAPTIONS[::step])
    assert pairs == {
        "within_train": DuplicatePairs(1, [DuplicatePair("t1", "t2", None)]),
        "train_test": DuplicatePairs(2, [DuplicatePair("t1", "q1", None), DuplicatePair("t2", "q1", None)]),
        "corpus_test": DuplicatePairs(2, [DuplicatePair("c#0", "q2", None), DuplicatePair("c#0", "q3", None)]),
    }


def test_all_equal_texts_are_counted_and_some_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kadr.ingest.leaks.MAX_LISTED_PAIRS", 3)
    many = pd.DataFrame({"query_id": list("abcdef"), "text": "A dog", "split": "train"})
    pairs = find_equal_texts(many, CAPTIONS)["within_train"]
    assert pairs == DuplicatePairs(
        15, [DuplicatePair("a", "b", None), DuplicatePair("a", "c", None), DuplicatePair("a", "d", None)]
    )


def test_no_texts_have_no_pairs() -> None:
    assert {pairs.n for pairs in find_equal_texts(QUERIES[:0], CAPTIONS[:0]).values()} == {0}


def test_the_table_lists_images_and_texts_by_split() -> None:
    images = {"train_test": DuplicatePairs(2, [DuplicatePair("b.jpg", "t.jpg", 3), DuplicatePair("a.jpg", "t.jpg", 0)])}
    table = leak_table(images, {"within_train": DuplicatePairs(1, [DuplicatePair("1", "2", None)])})
    assert table.schema == LEAKS
    assert [tuple(row.values()) for row in table.to_pylist()] == [
        ("photo", "train", "a.jpg", "test", "t.jpg", 0),
        ("photo", "train", "b.jpg", "test", "t.jpg", 3),
        ("text", "train", "1", "train", "2", None),
    ]
    assert len(leak_table({}, {})) == 0
