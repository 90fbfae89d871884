"""Tests for the leak tables: counts in order of severity, and thumbnails of near-duplicate images."""

import pyarrow as pa
import pytest

from kadr.io.schemas import LEAKS
from kadr.report.leak_tables import LEAK_DESCRIPTIONS, count_leaks, list_duplicate_images

COLUMNS = ["kind", "left_split", "left_id", "right_split", "right_id", "distance"]
NO_LEAKS = LEAKS.empty_table()


@pytest.fixture
def leaks() -> pa.Table:
    rows = [
        ("photo", "train", "a", "train", "b", 0),
        ("photo", "train", "a", "test", "t", 3),
        ("photo", "train", "b", "test", "t", 1),
        ("text", "train", "q1", "test", "q2", None),
    ]
    return pa.Table.from_pylist([dict(zip(COLUMNS, row, strict=True)) for row in rows], LEAKS)


def test_leaks_are_counted_with_the_most_serious_leak_first(leaks: pa.Table) -> None:
    counts = count_leaks(leaks)
    assert [(count.kind, count.n_pairs) for count in counts] == [("image", 2), ("image", 1), ("text", 1)]
    assert [count.description for count in counts] == [
        LEAK_DESCRIPTIONS["train", "test"],
        LEAK_DESCRIPTIONS["train", "train"],
        LEAK_DESCRIPTIONS["train", "test"],
    ]
    assert count_leaks(NO_LEAKS) == []


@pytest.mark.parametrize(("n_pairs", "expected"), [(0, []), (2, ["bt", "at"]), (9, ["bt", "at", "ab"])])
def test_duplicates_are_ordered_by_severity_and_distance(
    leaks: pa.Table, image_path: str, n_pairs: int, expected: list[str]
) -> None:
    pairs = list_duplicate_images(leaks, dict.fromkeys("abt", image_path), n_pairs)
    assert ["".join(image.image_id for image in pair.images) for pair in pairs] == expected
    assert all(image.thumbnail.startswith("data:image/jpeg;base64,") for pair in pairs for image in pair.images)
    assert list_duplicate_images(NO_LEAKS, {}, n_pairs) == []
