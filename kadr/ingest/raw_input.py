"""Raw input: the tables that a format reads from a dataset folder, as text and before validation."""

from dataclasses import dataclass, replace

import pandas as pd


@dataclass(frozen=True)
class RawRatings:
    """A ratings file with one row per rated pair.

    Attributes:
        file: path of the file, relative to the dataset folder.
        rows: columns image_id, query_id and the rating columns named below. All cells are text, "" if blank. The
            index `row` starts at 1.
        column_names: names of image_id and query_id in the file.
        expert_columns: columns of expert ratings.
        crowd_column: column with the share of positive crowd votes, or with a list of crowd votes.
        vote_columns: columns with the numbers of positive and of negative crowd votes.
    """

    file: str
    rows: pd.DataFrame
    column_names: dict[str, str]
    expert_columns: tuple[str, ...] = ()
    crowd_column: str | None = None
    vote_columns: tuple[str, str] | None = None

    @property
    def rating_columns(self) -> list[str]:
        """Columns that hold a rating. Vote counts are ratings only if the file has no share of votes."""
        crowd = [self.crowd_column] if self.crowd_column else self.vote_columns or ()
        return [*self.expert_columns, *crowd]


@dataclass(frozen=True)
class RawLongRatings:
    """A ratings file with one row per rating.

    Attributes:
        file: path of the file, relative to the dataset folder.
        rows: columns image_id, query_id, rater ("" if unknown), rating and source. All cells are text. The index
            `row` starts at 1.
        column_names: names of image_id and query_id in the file.
    """

    file: str
    rows: pd.DataFrame
    column_names: dict[str, str]


@dataclass(frozen=True)
class RawQueries:
    """The texts of one file.

    Attributes:
        file: path of the file, relative to the dataset folder.
        rows: columns query_id, text and image_id ("" if unknown). The index `row` starts at 1.
        column_names: names of these columns in the file.
        split: train for texts of rated pairs, test for queries of the test split.
    """

    file: str
    rows: pd.DataFrame
    column_names: dict[str, str]
    split: str


@dataclass(frozen=True)
class RawInput:
    """All raw tables of a dataset folder.

    Attributes:
        folders: image folder of each split, relative to the dataset folder.
        ratings: the ratings files.
        queries: the files with texts. Training files come first.
        listed_images: image names that a list in the dataset folder gives for a split.
    """

    folders: dict[str, str]
    ratings: tuple[RawRatings | RawLongRatings, ...]
    queries: tuple[RawQueries, ...]
    listed_images: dict[str, list[str]]

    def add_training_texts(self, texts: RawQueries) -> "RawInput":
        """Return the input with one more file of training texts, after the other training files."""
        training = [queries for queries in self.queries if queries.split == "train"]
        return replace(self, queries=(*training, texts, *self.queries[len(training) :]))
