"""The ingest part's raw input: what a form's reader found in a folder, as text and not yet judged."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd


@dataclass(frozen=True)
class RawRatings:
    """One file of ratings.

    Attributes:
        file: its path, relative to the source.
        rows: image_id, query_id and the columns named below, all text ("" where blank); index `row`, 1-based.
        names: what the file itself calls image_id and query_id.
        experts: the columns of expert ratings.
        crowd: the column of the crowd's share of yes, or of a list of its votes.
        votes: the columns of the crowd's counts of yes and of no, where the file has them.
    """

    file: str
    rows: pd.DataFrame
    names: dict[str, str]
    experts: tuple[str, ...] = ()
    crowd: str | None = None
    votes: tuple[str, str] | None = None


@dataclass(frozen=True)
class RawLongRatings:
    """One file of single ratings, each with its rater.

    Attributes:
        file: its path, relative to the source.
        rows: image_id, query_id, rater ("" where unknown), rating and source, all text; index `row`, 1-based.
        names: what the file itself calls image_id and query_id.
    """

    file: str
    rows: pd.DataFrame
    names: dict[str, str]


@dataclass(frozen=True)
class RawQueries:
    """One file's texts.

    Attributes:
        file: its path, relative to the source.
        rows: query_id, text, image_id ("" where unknown); index `row`, 1-based.
        names: what the file itself calls these three.
        split: train, or test (a text to find its photo by).
    """

    file: str
    rows: pd.DataFrame
    names: dict[str, str]
    split: str


@dataclass(frozen=True)
class RawInput:
    """All that a form's reader found.

    Attributes:
        folders: split -> folder of its photos, relative to the source.
        ratings: the files of ratings.
        queries: the files of texts, training first.
        listed: split -> names of photos that a list says are there.
    """

    folders: dict[str, str]
    ratings: tuple[RawRatings | RawLongRatings, ...]
    queries: tuple[RawQueries, ...]
    listed: dict[str, list[str]]

    def with_texts(self, file: RawQueries) -> "RawInput":
        """The input with one more file of training texts, behind the other training files."""
        training = [queries for queries in self.queries if queries.split == "train"]
        return replace(self, queries=(*training, file, *self.queries[len(training) :]))


@dataclass(frozen=True)
class Form:
    """A known layout of a raw folder.

    Attributes:
        wants: what makes a folder this form, for people.
        recognises: whether a folder looks like it, told by its files' names alone.
        read: reads such a folder; raises InputError.
    """

    wants: str
    recognises: Callable[[Path], bool]
    read: Callable[[Path], RawInput]
