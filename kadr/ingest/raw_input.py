"""Raw content of a dataset folder: ratings, texts and image names as text, before validation."""

from dataclasses import dataclass, replace

import pandas as pd

DETAIL_COLUMNS = ("rater", "time", "scale_min", "scale_max")
"""Optional columns of ratings: the rater, the time of the rating, and the lowest and highest rating of the scale."""


@dataclass(frozen=True)
class RawRatings:
    """Content of a ratings file that has one row per rated pair.

    Attributes:
        file: path of the file, relative to the dataset folder.
        rows: table with the columns image_id and query_id, and all rating columns. All cells are text. Blank cells are
            "". The index `row` contains the row numbers in the file, starting at 1. The table can have the columns
            rater, time, scale_min and scale_max (scale of the expert ratings in the row), and OTHER_COLUMNS.
        column_names: names of the columns in the file, by column of `rows`. Columns with the same name can be omitted.
        expert_columns: names of the columns that contain expert ratings.
        crowd_column: name of the column that contains shares of positive crowd votes or lists of crowd votes.
        vote_columns: names of the two columns that contain the numbers of positive and negative crowd votes.
    """

    file: str
    rows: pd.DataFrame
    column_names: dict[str, str]
    expert_columns: tuple[str, ...] = ()
    crowd_column: str | None = None
    vote_columns: tuple[str, str] | None = None

    @property
    def rating_columns(self) -> list[str]:
        """Names of the columns that contain ratings. Vote counts are ratings only if the file has no share column."""
        crowd = [self.crowd_column] if self.crowd_column else self.vote_columns or ()
        return [*self.expert_columns, *crowd]


@dataclass(frozen=True)
class RawLongRatings:
    """Content of a ratings file that has one row per rating.

    Attributes:
        file: path of the file, relative to the dataset folder.
        rows: table with the columns image_id, query_id, rater ("" if unknown), rating and source. All cells are text.
            The index `row` contains the row numbers in the file, starting at 1. The table can have the columns time,
            scale_min and scale_max (scale of the row), and OTHER_COLUMNS.
        column_names: names of the columns in the file, by column of `rows`. Columns with the same name can be omitted.
    """

    file: str
    rows: pd.DataFrame
    column_names: dict[str, str]

    def rating_cells(self, rows: pd.DataFrame) -> "pd.Series[str]":
        """Return the ratings in some rows of the table, as a series with the name of the column in the file."""
        return rows["rating"].rename(self.column_names.get("rating", "rating"))


@dataclass(frozen=True)
class RawQueries:
    """Training texts or test queries of one file.

    Attributes:
        file: path of the file, relative to the dataset folder.
        rows: table with the columns query_id, text and image_id ("" if unknown). The index `row` contains the row
            numbers in the file, starting at 1.
        column_names: names of the columns query_id, text and image_id in the file.
        split: `train` for training texts, `test` for queries of the test split.
    """

    file: str
    rows: pd.DataFrame
    column_names: dict[str, str]
    split: str


@dataclass(frozen=True)
class RawInput:
    """Raw content of a dataset folder, as read by a format.

    Attributes:
        folders: path of the image folder of each split, relative to the dataset folder.
        ratings: content of the ratings files.
        queries: content of the files with texts. Files with training texts precede files with test queries.
        listed_images: image names that a file such as test_images.csv lists, by split.
    """

    folders: dict[str, str]
    ratings: tuple[RawRatings | RawLongRatings, ...]
    queries: tuple[RawQueries, ...]
    listed_images: dict[str, list[str]]

    def add_training_texts(self, texts: RawQueries) -> "RawInput":
        """Return a copy of the raw input to which another file of training texts has been added.

        The new file comes after the existing files of training texts.
        """
        training = [queries for queries in self.queries if queries.split == "train"]
        return replace(self, queries=(*training, texts, *self.queries[len(training) :]))
