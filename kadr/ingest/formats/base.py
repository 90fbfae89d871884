"""Interface for dataset formats, and readers for the test split files, which all built-in formats share."""

import logging
from pathlib import Path
from typing import Protocol

from kadr.ingest.columns import Columns
from kadr.ingest.raw_input import RawInput, RawQueries
from kadr.ingest.table_files import find_table, normalise_texts, read_rows

IMAGE_FOLDERS = {"train": "train_images", "test": "test_images"}
"""Image folder of each split. All built-in formats use these folder names."""

logger = logging.getLogger(__name__)

TEST_QUERIES_STEM = "test_queries"
TEST_IMAGES_STEM = "test_images"


class Format(Protocol):
    """Interface that a class must implement to read dataset folders in one format.

    To add a format, write a class that implements this interface, and register the class as an entry point in the
    `kadr.formats` group. To select the format, set `ingest.format` to the name of the entry point.

    Attributes:
        layout: description of the format's files and columns, which is shown in error messages.
    """

    layout: str

    def recognises(self, folder: Path) -> bool:
        """Return whether a folder contains the files of this format. Check the file names only."""
        ...

    def read(self, folder: Path) -> RawInput:
        """Read a dataset folder in this format.

        Raises:
            InputError: a file or a column is missing, or a file cannot be read.
        """
        ...


def find_image_folders(folder: Path) -> dict[str, str]:
    """Return the image folder of each split. Leave out the test split if the dataset has no file or folder of it."""
    has_test_split = any("test" in path.name.casefold() for path in folder.iterdir() if path.is_dir()) or any(
        find_table(folder, stem).is_file() for stem in (TEST_QUERIES_STEM, TEST_IMAGES_STEM)
    )
    if has_test_split:
        return IMAGE_FOLDERS
    logger.warning(
        "%s has no test split: no folder %s and no table %s. Retrieval is not evaluated.",
        folder, IMAGE_FOLDERS["test"], TEST_QUERIES_STEM,
    )  # fmt: skip
    return {"train": IMAGE_FOLDERS["train"]}


def read_test_queries(folder: Path) -> tuple[RawQueries, ...]:
    """Read the queries in test_queries.csv. Return an empty tuple if the file does not exist.

    Raises:
        InputError: the file cannot be read, or a column is missing.
    """
    path = find_table(folder, TEST_QUERIES_STEM)
    if not path.exists():
        return ()
    table = read_rows(path, Columns(("query_id", "text", "image")))
    rows = table.rows[["query_id", "text", "image"]].set_axis(["query_id", "text", "image_id"], axis=1)
    rows = rows.assign(text=normalise_texts(rows["text"]))
    names = table.column_names
    column_names = {"query_id": names["query_id"], "text": names["text"], "image_id": names["image"]}
    return (RawQueries(path.name, rows, column_names, "test"),)


def read_listed_images(folder: Path) -> dict[str, list[str]]:
    """Read the image names in test_images.csv. Return an empty mapping if the file does not exist.

    Raises:
        InputError: the file cannot be read, or the column `image` is missing.
    """
    path = find_table(folder, TEST_IMAGES_STEM)
    if not path.exists():
        return {}
    rows = read_rows(path, Columns(("image",))).rows
    return {"test": sorted(set(rows["image"]) - {""})}
