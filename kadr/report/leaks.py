"""What stands on both sides of a split: counts of near-duplicates and equal texts, and the photos side by side."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from kadr.report.examples import photo_address

_SIDES = {  # what a pair of two splits means, the gravest first
    ("train", "test"): "rated and test: learned from and then searched for",
    ("corpus", "test"): "captioned and test: its caption was seen in training",
    ("corpus", "train"): "captioned and rated: its caption tells of a held-out photo",
    ("train", "train"): "rated twice: may be dealt into two folds",
    ("test", "test"): "test twice: either may be the right answer",
    ("corpus", "corpus"): "captioned twice",
}


@dataclass(frozen=True)
class LeakCount:
    """How many pairs of one kind stand in two splits, and what that means."""

    kind: str
    meaning: str
    n_pairs: int


@dataclass(frozen=True)
class Side:
    """One photo of a pair, as a data address."""

    photo: str
    image_id: str
    split: str


@dataclass(frozen=True)
class DuplicatePair:
    """Two nearly equal photos; `distance` in how many of 64 bits their perceptual hashes differ."""

    sides: tuple[Side, Side]
    distance: int


def leak_counts(leaks: pa.Table) -> list[LeakCount]:
    """Pairs of photos and of texts by their two splits, the gravest first; schema LEAKS."""
    found = Counter((row["kind"], row["left_split"], row["right_split"]) for row in leaks.to_pylist())
    return [
        LeakCount(kind, meaning, found[kind, *splits])
        for kind in ("photo", "text")
        for splits, meaning in _SIDES.items()
        if (kind, *splits) in found
    ]


def duplicate_pairs(leaks: pa.Table, path_of: Mapping[str, str], n: int) -> list[DuplicatePair]:
    """The first n pairs of photos, the gravest and nearest first; schema LEAKS.

    Raises:
        InputError: where a photo cannot be read.
    """
    gravity = {splits: number for number, splits in enumerate(_SIDES)}
    photos = [row for row in leaks.to_pylist() if row["kind"] == "photo"]
    photos.sort(key=lambda row: (gravity[row["left_split"], row["right_split"]], row["distance"]))
    return [
        DuplicatePair((_side(row, "left", path_of), _side(row, "right", path_of)), row["distance"])
        for row in photos[:n]
    ]


def _side(row: Mapping[str, str], side: str, path_of: Mapping[str, str]) -> Side:
    image_id = row[f"{side}_id"]
    return Side(photo_address(path_of[image_id]), image_id, row[f"{side}_split"])
