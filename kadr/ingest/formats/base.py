"""Interface for dataset formats, and readers for the test split files, which all built-in formats share."""

from pathlib import Path
from typing import Protocol

from kadr.ingest.raw_input import RawInput, RawQueries
from kadr.ingest.text_tables import normalise_texts, read_rows, require_columns

IMAGE_FOLDERS = {"train": "train_images", "test": "test_images"}
"""Image folder of each split. All built-in formats use these folder names."""

TEST_QUERIES_FILE = "test_queries.csv"
TEST_IMAGES_FILE = "test_images.csv"


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


def read_test_queries(folder: Path) -> tuple[RawQueries, ...]:
    """Read the queries in test_queries.csv. Return an empty tuple if the file does not exist.

    Raises:
        InputError: the file cannot be read, or a column is missing.
    """
    path = folder / TEST_QUERIES_FILE
    if not path.exists():
        return ()
    column_names = {"query_id": "query_id", "text": "query_text", "image_id": "image"}
    rows = read_rows(path, tuple(column_names.values()))
    require_columns(path, rows, column_names.values())
    rows = rows[list(column_names.values())].set_axis(list(column_names), axis=1)
    rows = rows.assign(text=normalise_texts(rows["text"]))
    return (RawQueries(TEST_QUERIES_FILE, rows, column_names, "test"),)


def read_listed_images(folder: Path) -> dict[str, list[str]]:
    """Read the image names in test_images.csv. Return an empty mapping if the file does not exist.

    Raises:
        InputError: the file cannot be read, or the column `image` is missing.
    """
    path = folder / TEST_IMAGES_FILE
    if not path.exists():
        return {}
    rows = read_rows(path, ("image",))
    require_columns(path, rows, ("image",))
    return {"test": sorted(set(rows["image"]) - {""})}
