"""The ingest part's raw input: what a form's reader found in a folder, as text and not yet judged."""

from collections.abc import Callable
from dataclasses import dataclass
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
        crowd: the column of the crowd's share of yes.
        votes: the columns of the crowd's counts of yes and of no, where the file has them.
    """

    file: str
    rows: pd.DataFrame
    names: dict[str, str]
    experts: tuple[str, ...] = ()
    crowd: str | None = None
    votes: tuple[str, str] | None = None


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
    ratings: tuple[RawRatings, ...]
    queries: tuple[RawQueries, ...]
    listed: dict[str, list[str]]


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
