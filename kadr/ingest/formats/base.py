"""The interface of a file format, and the test split files that all built-in formats share."""

from pathlib import Path
from typing import Protocol

from kadr.ingest.raw_input import RawInput, RawQueries
from kadr.ingest.text_tables import normalise_texts, read_rows, require_columns

IMAGE_FOLDERS = {"train": "train_images", "test": "test_images"}
"""Image folder of each split in the built-in formats."""

TEST_QUERIES_FILE = "test_queries.csv"
TEST_IMAGES_FILE = "test_images.csv"


class Format(Protocol):
    """A file format of dataset folders.

    To add a format, write a class with these members and register it as an entry point of the group kadr.formats. The
    name of the entry point is the value of `ingest.format`.

    Attributes:
        layout: files and columns of the format, for error messages.
    """

    layout: str

    def recognises(self, folder: Path) -> bool:
        """Return whether a folder contains the files of this format. Only file names are checked."""
        ...

    def read(self, folder: Path) -> RawInput:
        """Read a folder of this format.

        Raises:
            InputError: a file or a column is missing, or a file cannot be read.
        """
        ...


def read_test_queries(folder: Path) -> tuple[RawQueries, ...]:
    """Read test_queries.csv. A folder without this file has no test queries.

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
    """Read the image names in test_images.csv. A folder without this file lists no images.

    Raises:
        InputError: the file cannot be read, or the column image is missing.
    """
    path = folder / TEST_IMAGES_FILE
    if not path.exists():
        return {}
    rows = read_rows(path, ("image",))
    require_columns(path, rows, ("image",))
    return {"test": sorted(set(rows["image"]) - {""})}
