"""The defects that the sample carries on purpose, so that checks have something to find."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from kadr.sample.captions import captions_of
from kadr.sample.split_images import Photo
from kadr.sample.train_table import Row

PLANTED = MappingProxyType(
    {
        "truncated_photo": "a train photo whose file is cut off half-way; rows rate it",
        "missing_photo": "a train photo that rows rate and that is not on disk",
        "near_duplicate": "a train photo that is a test photo again, a little brighter, of lower quality",
        "duplicate_row": "a row that stands in train_dataset.csv twice; the last row is the second",
        "bad_rating": "a row whose rate_2 is 7, on a scale of 1..4",
        "empty_text": "a row with no text",
    }
)
"""Every planted defect; `Planted` has a field of each name that says where it is."""

Photos = Sequence[Photo]

NEAR_DUPLICATE, TRUNCATED = 1, 3
MIN_TRAIN = 6
BAD_RATING = 7


@dataclass(frozen=True)
class Planted:
    """Where the defects of one sample are.

    Attributes:
        truncated_photo: File name in train_images.
        missing_photo: File name that is not in train_images.
        near_duplicate: File name in train_images, file name in test_images.
        duplicate_row: img_id, text.
        bad_rating: img_id, text.
        empty_text: img_id.
    """

    truncated_photo: str
    missing_photo: str
    near_duplicate: tuple[str, str]
    duplicate_row: tuple[str, str]
    bad_rating: tuple[str, str]
    empty_text: str


def plant_near_duplicate(train: Photos, source: Photo) -> list[Photo]:
    """The train photos with one that shows what the test photo `source` shows, in captions of its own."""
    captions = captions_of(source.scene, np.random.default_rng(train[NEAR_DUPLICATE].picture_seed))
    double = Photo(train[NEAR_DUPLICATE].name, source.scene, captions, source.picture_seed)
    return [double if number == NEAR_DUPLICATE else photo for number, photo in enumerate(train)]


def plant_rows(rows: Sequence[Row], train: Photos, test: Photos) -> tuple[list[Row], Planted]:
    """The rows with the bad ones among them, and where all defects are.

    Args:
        rows: Rows in file order.
        train: Train photos; the last of them is the one that is not written.
        test: Test photos; the first of them has a near-duplicate among the train photos.
    """
    apart = {train[TRUNCATED].name, train[-1].name}
    sound = [n for n, row in enumerate(rows) if row.rates and row.img_id not in apart]
    twice, bad, empty = (rows[sound[len(sound) * share // 4]] for share in (1, 2, 3))
    planted_rows = []
    for row in rows:
        rates = row.rates
        if row is bad and rates is not None:
            rates = (rates[0], BAD_RATING, rates[2])
        planted_rows.append(replace(row, rates=rates))
        if row is empty:
            planted_rows.append(replace(row, text=""))
    planted_rows.append(twice)
    return planted_rows, Planted(
        truncated_photo=train[TRUNCATED].name,
        missing_photo=train[-1].name,
        near_duplicate=(train[NEAR_DUPLICATE].name, test[0].name),
        duplicate_row=(twice.img_id, twice.text),
        bad_rating=(bad.img_id, bad.text),
        empty_text=empty.img_id,
    )
