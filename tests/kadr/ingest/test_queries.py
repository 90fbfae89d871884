"""Tests for training texts, test queries and captions: one invalid row for each validation rule."""

import pandas as pd
import pytest

from kadr.errors import InputError
from kadr.ingest.captions.caption_reader import RawCaptions
from kadr.ingest.corpus import check_captions
from kadr.ingest.pipeline import read_queries
from kadr.ingest.queries import check_queries
from kadr.ingest.raw_input import RawQueries

IMAGE_STATUS = {"p.jpg": "ok", "cut.jpg": "truncated", "train.jpg": "image_in_train"}


def table(columns: str, *rows: str) -> pd.DataFrame:
    frame = pd.DataFrame([row.split(",") for row in rows], columns=columns.split(","), dtype="str")
    return frame.set_axis(pd.RangeIndex(1, len(frame) + 1, name="row"))


def queries(split: str, *rows: str) -> tuple[list[list[object]], list[list[object]]]:
    raw = RawQueries(
        "q.csv", table("query_id,text,image_id", *rows), {"image_id": "image", "text": "query_text"}, split
    )
    valid, rejected = check_queries(raw, IMAGE_STATUS, {"known"})
    return valid.fillna("-").values.tolist(), rejected[["row", "column", "value", "rule"]].values.tolist()


def test_a_training_text_needs_no_image() -> None:
    valid, rejected = queries("train", "a,A dog,elsewhere.jpg", "b,A cat,", "known,A cow,")
    assert valid == [
        ["a", "A dog", "elsewhere.jpg", "train"],
        ["b", "A cat", "-", "train"],
        ["known", "A cow", "-", "train"],
    ]
    assert rejected == []


@pytest.mark.parametrize(
    ("row", "column", "value", "rule"),
    [
        (",A dog,p.jpg", "query_id", "", "query_id_empty"),
        ("b,,p.jpg", "query_text", "", "text_empty"),
        ("b,A dog,", "image", "", "image_empty"),
        ("b,A dog,gone.jpg", "image", "gone.jpg", "image_missing"),
        ("b,A dog,cut.jpg", "image", "cut.jpg", "image_set_aside"),
        ("b,A dog,train.jpg", "image", "train.jpg", "image_in_train"),
        ("known,A dog,p.jpg", "query_id", "known", "query_in_train"),
        ("a,A cat,p.jpg", "query_id", "a", "duplicate_row"),
        ("a,Another cat,p.jpg", "query_text", "Another cat", "query_id_conflict"),
    ],
)
def test_an_invalid_test_query_is_rejected(row: str, column: str, value: str, rule: str) -> None:
    valid, rejected = queries("test", "a,A cat,p.jpg", row)
    assert valid == [["a", "A cat", "p.jpg", "test"]]
    assert rejected == [[2, column, value, rule]]


def captions(*rows: str) -> RawCaptions:
    """Return captions whose image is known from the caption ID, `image#k`, as the readers return them."""
    frame = table("caption_id,text", *rows)
    image_ids = frame["caption_id"].str.rsplit("#", n=1).str[0]
    columns = {"image_id": "caption_id", "caption_id": "caption_id", "text": "text"}
    return RawCaptions(frame.assign(image_id=image_ids), columns, image_from_id=True)


@pytest.mark.parametrize(
    ("row", "column", "value", "rule"),
    [
        ("nothing,A dog", "caption_id", "nothing", "caption_id_invalid"),
        ("#1,A dog", "caption_id", "#1", "caption_id_invalid"),
        ("p.jpg#1,", "text", "", "text_empty"),
        ("gone.jpg#1,A dog", "caption_id", "gone.jpg", "image_missing"),
        ("train.jpg#1,A dog", "caption_id", "train.jpg", "image_in_train"),
        ("cut.jpg#1,A dog", "caption_id", "cut.jpg", "image_set_aside"),
        ("p.jpg#0,A cat", "caption_id", "p.jpg#0", "duplicate_row"),
        ("p.jpg#0,A dog", "caption_id", "p.jpg#0", "caption_id_conflict"),
    ],
)
def test_an_invalid_caption_is_rejected(row: str, column: str, value: str, rule: str) -> None:
    valid, rejected = check_captions("c.tsv", captions("p.jpg#0,A cat", row), IMAGE_STATUS)
    assert valid.values.tolist() == [["p.jpg#0", "A cat", "p.jpg"]]
    assert rejected[["row", "column", "value", "rule"]].values.tolist() == [[2, column, value, rule]]


def test_an_image_name_may_contain_a_hash_sign() -> None:
    valid, _ = check_captions("c.tsv", captions("a#b.jpg#3,A cat"), {"a#b.jpg": "ok"})
    assert valid["image_id"].tolist() == ["a#b.jpg"]


def test_a_dataset_without_any_texts_is_an_error_with_the_fix() -> None:
    with pytest.raises(
        InputError, match=r"no file contains any of them\. Add train_dataset\.csv .* ingest\.corpus\.captions"
    ):
        read_queries([], [])
