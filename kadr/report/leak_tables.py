"""Leaks between splits: counts of near-duplicate images and identical texts, and thumbnails of the duplicates."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from kadr.report.data_uri import thumbnail_data_uri

LEAK_DESCRIPTIONS = {
    ("train", "test"): "Train and test: the model may have been trained on a test item",
    ("corpus", "test"): "Corpus and test: the caption of a test item may have been used in training",
    ("corpus", "train"): "Corpus and train: a caption may describe a held-out image",
    ("train", "train"): "Both in train: the two items may be in different folds",
    ("test", "test"): "Both in test: a query may have two correct results",
    ("corpus", "corpus"): "Both in corpus",
}
"""Consequence of a leak for each combination of splits, the most serious leak first."""


@dataclass(frozen=True)
class LeakCount:
    """Number of duplicate pairs for one combination of splits.

    Attributes:
        kind: Kind of the duplicate items, `image` or `text`.
        description: Splits of the two items, and the consequence of the leak.
        n_pairs: Number of duplicate pairs.
    """

    kind: str
    description: str
    n_pairs: int


@dataclass(frozen=True)
class DuplicateImage:
    """An image that has a near-duplicate, with its thumbnail as a data URI."""

    thumbnail: str
    image_id: str
    split: str


@dataclass(frozen=True)
class NearDuplicatePair:
    """Two near-duplicate images and the Hamming distance between their perceptual hashes, 0 to 64 bits."""

    images: tuple[DuplicateImage, DuplicateImage]
    distance: int


def count_leaks(leaks: pa.Table) -> list[LeakCount]:
    """Count the duplicate pairs by kind and by combination of splits. The most serious leaks come first.

    Args:
        leaks: Duplicate pairs, with the schema LEAKS.
    """
    counts = Counter((row["kind"], row["left_split"], row["right_split"]) for row in leaks.to_pylist())
    return [
        LeakCount(label, description, counts[kind, *splits])
        for kind, label in (("photo", "image"), ("text", "text"))
        for splits, description in LEAK_DESCRIPTIONS.items()
        if (kind, *splits) in counts
    ]


def list_duplicate_images(leaks: pa.Table, paths: Mapping[str, str], n_pairs: int) -> list[NearDuplicatePair]:
    """Return pairs of near-duplicate images, ordered by severity of the leak and then by hash distance.

    Args:
        leaks: Duplicate pairs, with the schema LEAKS.
        paths: Mapping from image_id to the path of the image file.
        n_pairs: Maximum number of pairs.
    """
    priorities = {splits: priority for priority, splits in enumerate(LEAK_DESCRIPTIONS)}
    rows = [row for row in leaks.to_pylist() if row["kind"] == "photo"]
    rows.sort(key=lambda row: (priorities[row["left_split"], row["right_split"]], row["distance"]))
    return [
        NearDuplicatePair((_make_image(row, "left", paths), _make_image(row, "right", paths)), row["distance"])
        for row in rows[:n_pairs]
    ]


def _make_image(row: Mapping[str, str], side: str, paths: Mapping[str, str]) -> DuplicateImage:
    image_id = row[f"{side}_id"]
    return DuplicateImage(thumbnail_data_uri(paths[image_id]), image_id, row[f"{side}_split"])
