"""Leaks between splits: numbers of near-duplicate images and equal texts, and the duplicate images side by side."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from kadr.report.data_uri import thumbnail_data_uri

LEAK_DESCRIPTIONS = {
    ("train", "test"): "Train and test: the model may be trained on a test item",
    ("corpus", "test"): "Corpus and test: the caption of a test item may be used in training",
    ("corpus", "train"): "Corpus and train: a caption may describe a held-out image",
    ("train", "train"): "Train twice: the two items may be in different folds",
    ("test", "test"): "Test twice: a query may have two correct results",
    ("corpus", "corpus"): "Corpus twice",
}
"""Splits of the two items of a pair -> consequence, the most serious leak first."""


@dataclass(frozen=True)
class LeakCount:
    """Number of duplicate pairs in two splits.

    Attributes:
        kind: `image` or `text`.
        description: Consequence of the leak.
        n_pairs: Number of pairs.
    """

    kind: str
    description: str
    n_pairs: int


@dataclass(frozen=True)
class DuplicateImage:
    """One image of a pair of near-duplicates, with its thumbnail as a data URI."""

    thumbnail: str
    image_id: str
    split: str


@dataclass(frozen=True)
class NearDuplicatePair:
    """Two near-duplicate images and the distance of their perceptual hashes, 0 to 64 bits."""

    images: tuple[DuplicateImage, DuplicateImage]
    distance: int


def count_leaks(leaks: pa.Table) -> list[LeakCount]:
    """Count the pairs by kind and splits, the most serious leak first.

    Args:
        leaks: Schema LEAKS.
    """
    counts = Counter((row["kind"], row["left_split"], row["right_split"]) for row in leaks.to_pylist())
    return [
        LeakCount(label, description, counts[kind, *splits])
        for kind, label in (("photo", "image"), ("text", "text"))
        for splits, description in LEAK_DESCRIPTIONS.items()
        if (kind, *splits) in counts
    ]


def list_duplicate_images(leaks: pa.Table, paths: Mapping[str, str], n_pairs: int) -> list[NearDuplicatePair]:
    """Return the first near-duplicate images, the most serious leak and the smallest distance first.

    Args:
        leaks: Schema LEAKS.
        paths: image_id -> path.
        n_pairs: Maximum number of pairs.

    Raises:
        InputError: An image is missing or cannot be decoded.
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
