"""Leaks: equal texts across splits and folds, and the one table of all."""

import pandas as pd
import pytest

from kadr.ingest.leaks import equal_texts, leak_table
from kadr.ingest.near_duplicates import Twin, Twins
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
def test_equal_texts_are_paired_whatever_their_order(step: int) -> None:
    found = equal_texts(QUERIES[::step], CAPTIONS[::step])
    assert found == {
        "within_train": Twins(1, [Twin("t1", "t2", None)]),
        "train_test": Twins(2, [Twin("t1", "q1", None), Twin("t2", "q1", None)]),
        "corpus_test": Twins(2, [Twin("c#0", "q2", None), Twin("c#0", "q3", None)]),
    }


def test_all_equal_texts_are_counted_and_the_first_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kadr.ingest.leaks.LISTED", 3)
    many = pd.DataFrame({"query_id": list("abcdef"), "text": "A dog", "split": "train"})
    twins = equal_texts(many, CAPTIONS)["within_train"]
    assert twins == Twins(15, [Twin("a", "b", None), Twin("a", "c", None), Twin("a", "d", None)])


def test_no_texts_have_no_twins() -> None:
    assert {twins.n for twins in equal_texts(QUERIES[:0], CAPTIONS[:0]).values()} == {0}


def test_the_table_has_photos_and_texts_by_split() -> None:
    photos = {"train_test": Twins(2, [Twin("b.jpg", "t.jpg", 3), Twin("a.jpg", "t.jpg", 0)])}
    table = leak_table(photos, {"within_train": Twins(1, [Twin("1", "2", None)])})
    assert table.schema == LEAKS
    assert [tuple(row.values()) for row in table.to_pylist()] == [
        ("photo", "train", "a.jpg", "test", "t.jpg", 0),
        ("photo", "train", "b.jpg", "test", "t.jpg", 3),
        ("text", "train", "1", "train", "2", None),
    ]
    assert len(leak_table({}, {})) == 0
