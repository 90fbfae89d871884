"""Reader for the flickr8k format, which stores expert and crowd ratings in two separate files."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from kadr.errors import InputError
from kadr.ingest.columns import Columns, column_key
from kadr.ingest.formats.base import find_image_folders, read_listed_images, read_test_queries
from kadr.ingest.raw_input import DETAIL_COLUMNS, RawInput, RawQueries, RawRatings
from kadr.ingest.table_files import OTHER_COLUMNS, ColumnNames, TableRows, find_table, normalise_texts, read_rows

TEXTS_STEM = "train_dataset"
EXPERT_STEMS = ("ExpertAnnotations",)
CROWD_STEMS = ("CrowdAnnotations", "CrowdFlowerAnnotations")
_PAIR_COLUMNS = ("image", "query_id")
_CROWD_COLUMNS = ("share_yes", "yes", "no")
_ID_KEYS = frozenset({"hitid", "assignmentid", "taskid", "id", "index", "rownumber", "unnamed0"})
"""Keys of columns that contain IDs in place of ratings. The key is the name in lower case, without separators."""


class Flickr8k:
    """Reader for folders that contain the annotation files of the Flickr8k dataset.

    The query_id `image#k` identifies caption number k of an image. In a rated pair, the caption can belong to a
    different image.
    """

    layout = (
        f"{TEXTS_STEM}.csv (image, query_id, query_text), ExpertAnnotations.tsv, CrowdAnnotations.tsv, train_images/ "
        "and test_images/"
    )

    def recognises(self, folder: Path) -> bool:
        """Return whether a folder contains an ExpertAnnotations or CrowdAnnotations file."""
        return has_annotations(folder)

    def read(self, folder: Path) -> RawInput:
        """Read the expert and crowd annotations, the training texts and the test split.

        Raises:
            InputError: a file or a column is missing, or a file cannot be read.
        """
        expert_path, crowd_path = find_table(folder, *EXPERT_STEMS), find_table(folder, *CROWD_STEMS)
        experts, expert_texts, expert_columns, expert_names = _read_annotations(
            expert_path, lambda n: [f"rate_{k}" for k in range(1, n + 1)]
        )
        crowd, crowd_texts, crowd_columns, crowd_names = _read_annotations(crowd_path, lambda _n: _CROWD_COLUMNS)
        if len(crowd_columns) != len(_CROWD_COLUMNS):
            raise InputError(
                f"{crowd_path}: the number of rating columns is {len(crowd_columns)} ({', '.join(crowd_columns)}), "
                "expected 3 (share of positive votes, number of positive votes, number of negative votes). Correct the "
                "columns."
            )
        share, positive, negative = crowd_columns
        texts_path = find_table(folder, TEXTS_STEM)
        texts = (
            (texts_path.name, _read_texts(texts_path)),
            (expert_path.name, expert_texts),
            (crowd_path.name, crowd_texts),
        )
        return RawInput(
            folders=find_image_folders(folder),
            ratings=(
                RawRatings(expert_path.name, experts, expert_names, expert_columns=tuple(expert_columns)),
                RawRatings(crowd_path.name, crowd, crowd_names, crowd_column=share, vote_columns=(positive, negative)),
            ),
            queries=(*_training_texts(texts), *read_test_queries(folder)),
            listed_images=read_listed_images(folder),
        )


def has_annotations(folder: Path) -> bool:
    """Return whether a folder contains an ExpertAnnotations or CrowdAnnotations file."""
    stems = (*EXPERT_STEMS, *CROWD_STEMS)
    return any(find_table(folder, stem).is_file() for stem in stems)


def _read_annotations(
    path: Path, names: ColumnNames
) -> tuple[pd.DataFrame, pd.DataFrame | None, list[str], dict[str, str]]:
    """Return the rated pairs, the texts, the names of the rating columns and the names of the ID columns.

    The texts are None if the file has no query_text column.
    """
    columns = Columns(_PAIR_COLUMNS, ("text", *DETAIL_COLUMNS), others=lambda name: column_key(name) not in _ID_KEYS)
    table = read_rows(path, columns, lambda n: [*_PAIR_COLUMNS, *names(n - len(_PAIR_COLUMNS))])
    rows = table.rows
    rating_columns = [name for name in table.column_names if name not in {*_PAIR_COLUMNS, "text", *DETAIL_COLUMNS}]
    texts = rows[["query_id", "text"]] if "text" in rows.columns else None
    others = [name for name in (*DETAIL_COLUMNS, OTHER_COLUMNS) if name in rows.columns]
    pairs = rows[[*_PAIR_COLUMNS, *rating_columns, *others]].rename(columns={"image": "image_id"})
    return pairs, texts, rating_columns, _id_names(table)


def _id_names(table: TableRows) -> dict[str, str]:
    """Return the names of the columns in the file."""
    return table.column_names | {"image_id": table.column_names["image"]}


def _read_texts(path: Path) -> pd.DataFrame | None:
    """Read the texts in train_dataset.csv. Return None if the file does not exist."""
    if not path.exists():
        return None
    return read_rows(path, Columns(("query_id", "text"))).rows[["query_id", "text"]]


def _training_texts(files: Sequence[tuple[str, pd.DataFrame | None]]) -> list[RawQueries]:
    """Return the training texts of each file. Drop a text if an earlier file contains its query_id."""
    column_names = {"query_id": "query_id", "text": "query_text", "image_id": "query_id"}
    known: set[str] = set()
    training: list[RawQueries] = []
    for file, texts in files:
        if texts is None:
            continue
        rows = texts.set_axis(["query_id", "text"], axis=1).drop_duplicates()
        rows = rows.assign(text=normalise_texts(rows["text"]), image_id=source_images(rows["query_id"]))
        rows = rows.drop_duplicates()
        if training:
            rows = rows[~rows["query_id"].isin(known) & (rows["query_id"] != "") & (rows["text"] != "")]
        known |= set(rows["query_id"])
        training.append(RawQueries(file, rows, column_names, "train"))
    return training


def source_images(query_ids: pd.Series) -> pd.Series:
    """Return the image ID in each query_id of the form `image#k`, or "" if the query_id contains no `#`."""
    return query_ids.str.rsplit("#", n=1).str[0].where(query_ids.str.contains("#", regex=False), "")
