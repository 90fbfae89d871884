"""Reader for exports of Label Studio projects in which people rate pairs of an image and a text."""

import logging
import math
from pathlib import Path

import pandas as pd

from kadr.errors import InputError
from kadr.ingest.blank_words import NO_RATING_WORDS, normalise_word
from kadr.ingest.formats.base import find_image_folders, read_listed_images, read_test_queries
from kadr.ingest.formats.label_studio_export import Export, drop_repeated_annotations, is_export, read_export
from kadr.ingest.formats.label_studio_fields import find_fields
from kadr.ingest.formats.rated_texts import drop_repeated_texts, split_rated_texts
from kadr.ingest.number_cells import DecimalSeparator, parse_number
from kadr.ingest.raw_input import RawInput, RawLongRatings, RawQueries
from kadr.ingest.vote_cells import NO_WORDS, YES_WORDS

logger = logging.getLogger(__name__)

_OTHER_FORMATS = ("ratings_long", "train_dataset", "test_queries", "test_images", "captions")


class LabelStudio:
    """Reader for exports in the formats JSON, JSON-MIN, CSV and TSV.

    Each annotation becomes one rating by its annotator. The rating comes from a Rating, Number or Choices tag. Choices
    such as yes and no are crowd votes. Skipped annotations are no ratings.
    """

    layout = (
        "Label Studio export, JSON, JSON-MIN or CSV (image, text and a Rating or Choices tag), train_images/ and "
        "optionally test_images/"
    )

    def recognises(self, folder: Path) -> bool:
        """Return whether a folder contains an export of Label Studio."""
        return bool(_find_files(folder))

    def read(self, folder: Path) -> RawInput:
        """Read the annotations in all exports.

        Raises:
            InputError: a file cannot be read, or its image, text or rating cannot be found.
        """
        files = _find_files(folder)
        if not files:
            raise InputError(f"{folder}: no export of Label Studio found. Add the export, or correct ingest.format.")
        folders = find_image_folders(folder)
        exports = {path: _read_annotations(path) for path in files}
        if n_repeated := drop_repeated_annotations(list(exports.values())):
            logger.warning("%s: %d annotations are in several exports, and are used once.", folder, n_repeated)
        parts = [_convert(path, export) for path, export in exports.items() if export.annotations]
        has_test_images = "test" in folders
        return RawInput(
            folders=folders,
            ratings=tuple(ratings for ratings, _ in parts),
            queries=(
                *drop_repeated_texts(queries for _, queries in parts),
                *(read_test_queries(folder) if has_test_images else ()),
            ),
            listed_images=read_listed_images(folder) if has_test_images else {},
        )


def _find_files(folder: Path) -> list[Path]:
    paths = sorted(path for path in folder.iterdir() if path.name.endswith((".json", ".csv", ".tsv")))
    return [path for path in paths if not path.name.startswith(_OTHER_FORMATS) and is_export(path)]


def _read_annotations(path: Path) -> Export:
    """Read the annotations of one export."""
    export = read_export(path)
    if export.n_skipped:
        logger.info("%s: %d skipped annotations are not used.", path.name, export.n_skipped)
    if not export.annotations:
        raise InputError(f"{path}: the export contains no annotations. Export the project after it is annotated.")
    return export


def _convert(path: Path, export: Export) -> tuple[RawLongRatings, RawQueries]:
    """Convert the annotations of one export to ratings and texts."""
    fields = find_fields(path, export)
    rows = pd.DataFrame(
        {
            "image_id": [a.data.get(fields.image, "") for a in export.annotations],
            "text": [a.data.get(fields.text, "") for a in export.annotations],
            "rating": [a.values.get(fields.rating, "") for a in export.annotations],
            "rater": [a.rater for a in export.annotations],
            "time": [a.time for a in export.annotations],
        },
        index=pd.Index([a.row for a in export.annotations], name="row", dtype="int64"),
        dtype="str",
    )
    rows = rows.assign(source="crowd" if _are_votes(rows["rating"]) else "expert")
    logger.info("%s: image is %s, text is %s, rating is %s", path.name, fields.image, fields.text, fields.rating)
    return split_rated_texts(path.name, rows, {"image_id": fields.image, "text": fields.text})


def _are_votes(ratings: "pd.Series[str]") -> bool:
    """Return whether the ratings are words for yes and no."""
    words = {normalise_word(rating) for rating in ratings.unique()} - NO_RATING_WORDS
    return bool(words & (YES_WORDS | NO_WORDS)) and not any(_is_number(word) for word in words)


def _is_number(word: str) -> bool:
    number = parse_number(word, DecimalSeparator())
    return number is None or not math.isnan(number)
