"""Reader for the THumB dataset, which contains human ratings of captions of COCO images (Kasai et al. 2022)."""

import logging
from collections.abc import Sequence
from pathlib import Path

from kadr.errors import InputError
from kadr.ingest.formats.base import find_image_folders
from kadr.ingest.formats.rated_texts import drop_repeated_texts, split_rated_texts
from kadr.ingest.raw_input import RawInput, RawLongRatings, RawQueries
from kadr.ingest.table_files import read_rows

logger = logging.getLogger(__name__)

SCALE = (1, 5)
_COLUMNS = {"image": "image", "text": "hyp", "rating": "human_score"}


class Thumb:
    """Reader for mscoco_THumB-1.0.jsonl, in which each line contains an image, a caption (hyp) and its human_score.

    The human_score is the mean of precision and recall, 1 to 5, minus penalties for the language. If several systems
    wrote the same caption, the file repeats its rating. The rating is then used once.
    """

    layout = "mscoco_THumB-1.0.jsonl (image, hyp, human_score) and train_images/"

    def recognises(self, folder: Path) -> bool:
        """Return whether a folder contains a JSON Lines file whose name contains THumB."""
        return bool(_find_files(folder))

    def read(self, folder: Path) -> RawInput:
        """Read the ratings and captions.

        Raises:
            InputError: a file or a column is missing, or a file cannot be read.
        """
        files = _find_files(folder)
        if not files:
            raise InputError(f"{folder}: the file mscoco_THumB-1.0.jsonl is missing. Add it, or correct ingest.format.")
        parts = [_read_file(path) for path in files]
        return RawInput(
            folders=find_image_folders(folder),
            ratings=tuple(ratings for ratings, _ in parts),
            queries=drop_repeated_texts(queries for _, queries in parts),
            listed_images={},
        )


def _find_files(folder: Path) -> list[Path]:
    suffixes = (".jsonl", ".jsonl.gz", ".json")
    return sorted(path for path in folder.iterdir() if "thumb" in path.name.lower() and path.name.endswith(suffixes))


def _read_file(path: Path) -> tuple[RawLongRatings, RawQueries]:
    """Read the ratings of one file."""
    rows = read_rows(path, _select).rows[list(_COLUMNS)].rename(columns={"image": "image_id"})
    repeated = rows.duplicated()
    if repeated.any():
        logger.info(
            "%s: %d rows repeat the rating of a caption that several systems wrote. Each rating is used once.",
            path.name,
            repeated.sum(),
        )
    rows = rows[~repeated].assign(rater="", source="expert", scale_min=str(SCALE[0]), scale_max=str(SCALE[1]))
    return split_rated_texts(path.name, rows, {"image_id": _COLUMNS["image"], "text": _COLUMNS["text"]})


def _select(header: Sequence[str]) -> dict[str, str] | None:
    """Select the columns of a THumB file, or return None if a column is missing."""
    return dict(_COLUMNS) if set(_COLUMNS.values()) <= set(header) else None
