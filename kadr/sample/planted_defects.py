"""Intentional defects in the sample data, which validation must detect."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from kadr.sample.caption_templates import generate_captions
from kadr.sample.split_images import SampleImage
from kadr.sample.train_table import TrainRow

PLANTED_DEFECTS = MappingProxyType(
    {
        "truncated_photo": "A rated train image whose file is truncated to half of its size.",
        "missing_photo": "A rated train image whose file is missing.",
        "near_duplicate": "A train image that is a brighter copy of a test image, saved with a lower JPEG quality.",
        "duplicate_row": "A row that occurs twice in train_dataset.csv. The second copy is the last row.",
        "bad_rating": "A row whose rate_2 is 7, which is outside the scale of 1 to 4.",
        "empty_text": "A row without text.",
    }
)
"""Description of each defect, by name. `PlantedDefects` has one field for each name."""

NEAR_DUPLICATE, TRUNCATED = 1, 3
MIN_TRAIN = 6
INVALID_RATING = 7


@dataclass(frozen=True)
class PlantedDefects:
    """Locations of the defects in one sample. The field names are used as keys in sample.json.

    Attributes:
        truncated_photo: Name of the truncated file in train_images.
        missing_photo: Name of the file that is missing from train_images.
        near_duplicate: Name of the brighter copy in train_images, and name of its original in test_images.
        duplicate_row: img_id and text of the row that occurs twice.
        bad_rating: img_id and text of the row with the invalid rating.
        empty_text: img_id of the row without text.
    """

    truncated_photo: str
    missing_photo: str
    near_duplicate: tuple[str, str]
    duplicate_row: tuple[str, str]
    bad_rating: tuple[str, str]
    empty_text: str


def plant_near_duplicate(train: Sequence[SampleImage], original: SampleImage) -> list[SampleImage]:
    """Replace one train image with a copy of a test image. Return all train images.

    The copy shows the same scene as the test image, but has new captions.

    Args:
        train: Train images.
        original: Test image to copy.
    """
    replaced = train[NEAR_DUPLICATE]
    captions = generate_captions(original.scene, np.random.default_rng(replaced.rendering_seed))
    duplicate = SampleImage(replaced.name, original.scene, captions, original.rendering_seed)
    return [duplicate if number == NEAR_DUPLICATE else image for number, image in enumerate(train)]


def plant_row_defects(
    rows: Sequence[TrainRow], train: Sequence[SampleImage], test: Sequence[SampleImage]
) -> tuple[list[TrainRow], PlantedDefects]:
    """Add defective rows to the train table.

    Args:
        rows: Rows in file order.
        train: Train images. The last image is the image whose file is missing.
        test: Test images. A train image is a near-duplicate of the first test image.

    Returns:
        The rows with the defects, and the locations of all defects.
    """
    excluded = {train[TRUNCATED].name, train[-1].name}
    candidates = [number for number, row in enumerate(rows) if row.ratings and row.img_id not in excluded]
    duplicated, invalid, empty = (rows[candidates[len(candidates) * quarter // 4]] for quarter in (1, 2, 3))
    defective_rows = []
    for row in rows:
        ratings = row.ratings
        if row is invalid and ratings is not None:
            ratings = (ratings[0], INVALID_RATING, ratings[2])
        defective_rows.append(replace(row, ratings=ratings))
        if row is empty:
            defective_rows.append(replace(row, text=""))
    defective_rows.append(duplicated)
    return defective_rows, PlantedDefects(
        truncated_photo=train[TRUNCATED].name,
        missing_photo=train[-1].name,
        near_duplicate=(train[NEAR_DUPLICATE].name, test[0].name),
        duplicate_row=(duplicated.img_id, duplicated.text),
        bad_rating=(invalid.img_id, invalid.text),
        empty_text=empty.img_id,
    )
