"""The report's leaks: counts by meaning, and photos side by side, the gravest first."""

from pathlib import Path

import pyarrow as pa
import pytest
from PIL import Image

from kadr.ingest.leaks import leak_table
from kadr.ingest.near_duplicates import Twin, Twins
from kadr.report.leaks import _SIDES, duplicate_pairs, leak_counts

NONE = leak_table({}, {})


def leaks() -> pa.Table:
    photos = {
        "within_train": Twins(1, [Twin("a", "b", 0)]),
        "train_test": Twins(2, [Twin("a", "t", 3), Twin("b", "t", 1)]),
    }
    return leak_table(photos, {"train_test": Twins(1, [Twin("q1", "q2", None)])})


def test_leaks_are_counted_the_gravest_first() -> None:
    counts = leak_counts(leaks())
    assert [(count.kind, count.n_pairs) for count in counts] == [("photo", 2), ("photo", 1), ("text", 1)]
    assert counts[0].meaning == _SIDES["train", "test"]
    assert leak_counts(NONE) == []


@pytest.mark.parametrize(("n", "expected"), [(0, []), (2, ["bt", "at"]), (9, ["bt", "at", "ab"])])
def test_pairs_stand_side_by_side(tmp_path: Path, n: int, expected: list[str]) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "photo.png")
    pairs = duplicate_pairs(leaks(), dict.fromkeys("abt", str(tmp_path / "photo.png")), n)
    assert ["".join(side.image_id for side in pair.sides) for pair in pairs] == expected
    assert all(side.photo.startswith("data:image/jpeg;base64,") for pair in pairs for side in pair.sides)
    assert duplicate_pairs(NONE, {}, n) == []
