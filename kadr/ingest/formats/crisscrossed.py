"""Reader for Crisscrossed Captions, human similarity ratings of COCO images and captions (Parekh et al. 2021)."""

import logging
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from kadr.errors import InputError
from kadr.ingest.captions.caption_detection import read_captions
from kadr.ingest.captions.caption_reader import CaptionFile
from kadr.ingest.captions.coco_captions import CocoCaptions
from kadr.ingest.captions.karpathy_split import KarpathySplit
from kadr.ingest.columns import column_key
from kadr.ingest.formats.base import find_image_folders
from kadr.ingest.formats.rated_texts import RATING_COLUMNS
from kadr.ingest.raw_input import RawInput, RawLongRatings, RawQueries
from kadr.ingest.table_files import read_rows

logger = logging.getLogger(__name__)

SCALE = (0, 5)
ORIGINAL = "c2i_original"
"""Value of sampling_method for a caption and the image that it was written for."""

_RAW = "_raw"
_ANNOTATIONS = "annotations"
"""Folder in the archive of the annotations of COCO."""

_OTHER_ANNOTATIONS = ("instances_", "person_keypoints_", "panoptic_", "stuff_", "image_info_")
"""Files in this archive that contain no captions."""


class Crisscrossed:
    """Reader for sits_val.csv and sits_test.csv, which rate pairs of a caption and an image from 0 to 5.

    The captions come from a captions file of COCO, or from the Karpathy split file of COCO. If the dataset has test
    images, the captions of these images in sits_test.csv are the test queries. Otherwise, all ratings are used.
    """

    layout = (
        "sits_val.csv and sits_test.csv (caption, image, agg_score), captions_val2014.json or dataset_coco.json, "
        "train_images/ and optionally test_images/"
    )

    def recognises(self, folder: Path) -> bool:
        """Return whether a folder contains a file sits_*.csv."""
        return bool(_find_files(folder))

    def read(self, folder: Path) -> RawInput:
        """Read the ratings and the captions.

        Raises:
            InputError: a file or a column is missing, or a file cannot be read.
        """
        folders = find_image_folders(folder)
        files = _find_files(folder)
        test_files = [path for path in files if "test" in path.name and "test" in folders]
        rated_files = [path for path in files if path not in test_files]
        if not rated_files:
            raise InputError(f"{folder}: the file sits_val.csv is missing. Add the file, or correct ingest.format.")
        captions_file, captions = _read_coco_captions(folder)
        tables = {path.name: _read_pairs(path) for path in files}
        rated = {query_id for path in rated_files for query_id in tables[path.name]["query_id"]}
        tests = pd.concat([tables[path.name] for path in test_files] or [tables[files[0].name].head(0)])
        test_ids = set(tests.loc[tests["method"].isin([ORIGINAL, ""]), "query_id"])
        return RawInput(
            folders=folders,
            ratings=tuple(
                RawLongRatings(
                    path.name, tables[path.name].drop(columns="method"), {"image_id": "image", "query_id": "caption"}
                )
                for path in rated_files
            ),
            queries=(
                _select_texts(captions_file, captions, rated, "train"),
                *([_select_texts(captions_file, captions, test_ids - rated, "test")] if test_files else []),
            ),
            listed_images={},
        )


def _find_files(folder: Path) -> list[Path]:
    """Return the files with ratings of captions and images. Files of single raters are used if there are no others."""
    paths = sorted(
        path for path in folder.iterdir() if path.name.startswith("sits_") and path.name.endswith((".csv", ".csv.gz"))
    )
    return [path for path in paths if _RAW not in path.name] or paths


def _read_pairs(path: Path) -> pd.DataFrame:
    """Read the ratings of one file."""

    def select(header: Sequence[str]) -> dict[str, str] | None:
        scores = [cell for cell in header if "score" in column_key(cell)]
        if not {"caption", "image"} <= set(header) or len(scores) != 1:
            return None
        methods = [cell for cell in header if column_key(cell) == "samplingmethod"]
        columns = {"caption": "caption", "image": "image", "rating": scores[0]}
        return columns | ({"method": methods[0]} if methods else {})

    rows = read_rows(path, select).rows
    rows = rows.rename(columns={"caption": "query_id", "image": "image_id"})
    rows = rows.assign(rater="", source="expert", scale_min=str(SCALE[0]), scale_max=str(SCALE[1]))
    method = rows["method"] if "method" in rows.columns else ""
    return rows.assign(method=method)[[*RATING_COLUMNS, "scale_min", "scale_max", "method"]]


def _read_coco_captions(folder: Path) -> tuple[str, pd.DataFrame]:
    """Return the name of the captions file, and the captions with the query_id that the ratings use."""
    readers = (KarpathySplit(), CocoCaptions())
    folders = [place for place in (folder, folder / _ANNOTATIONS) if place.is_dir()]
    paths = [path for place in folders for path in sorted(place.iterdir()) if path.name.endswith((".json", ".json.gz"))]
    files = [CaptionFile(path) for path in paths if not path.name.startswith(_OTHER_ANNOTATIONS)]
    paths = [file.path for file in files if any(reader.recognises(file) for reader in readers)]
    if not paths:
        raise InputError(
            f"{folder}: the captions of COCO are missing, expected captions_val2014.json or dataset_coco.json. Add one "
            "of these files, because the ratings contain only the IDs of the captions."
        )
    rows = pd.concat([read_captions(path).rows for path in paths])
    rows = rows.assign(query_id="COCO_val2014:sentid:" + rows["source_id"])
    return " and ".join(path.name for path in paths), rows.drop_duplicates("query_id")


def _select_texts(file: str, captions: pd.DataFrame, query_ids: set[str], split: str) -> RawQueries:
    """Return the captions with the given IDs as training texts or test queries."""
    rows = captions.loc[captions["query_id"].isin(query_ids), ["query_id", "text", "image_id"]]
    return RawQueries(file, rows, {"query_id": "id", "text": "caption", "image_id": "image_id"}, split)
