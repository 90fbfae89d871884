"""Tests for the tables about the input data: images by split and status, and violations by rule."""

import pyarrow as pa

from kadr.io.schemas import IMAGES, QUARANTINE
from kadr.report.input_tables import QuarantineRule, SplitImages, count_images, summarise_quarantine


def test_images_are_counted_by_split_and_status() -> None:
    rows = [("test", "ok"), ("train", "ok"), ("train", "truncated"), ("train", "ok"), ("train", "missing")]
    images = pa.Table.from_pylist(
        [{"image_id": str(n), "path": "", "split": split, "status": status} for n, (split, status) in enumerate(rows)],
        IMAGES,
    )
    assert count_images(images) == [
        SplitImages("train", 2, {"missing": 1, "truncated": 1}),
        SplitImages("test", 1, {}),
    ]


def test_violations_are_listed_by_rule_with_the_most_frequent_rule_first() -> None:
    rows = [
        ("images/x.jpg", None, None, None, "decodes", "image"),
        ("r.csv", 3, "rate_1", "7", "in range", "row"),
        ("r.csv", 9, "rate_2", None, "in range", "row"),
    ]
    quarantine = pa.Table.from_pylist([dict(zip(QUARANTINE.names, row, strict=True)) for row in rows], QUARANTINE)
    assert summarise_quarantine(quarantine) == [
        QuarantineRule("in range", "row", 2, ["r.csv, row 3: rate_1 = 7", "r.csv, row 9: rate_2 = (empty)"]),
        QuarantineRule("decodes", "image", 1, ["images/x.jpg"]),
    ]
    assert summarise_quarantine(QUARANTINE.empty_table()) == []
