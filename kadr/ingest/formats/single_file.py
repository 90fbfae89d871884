"""Reader for the single_file format, in which each row of train_dataset.csv contains all ratings of one pair."""

import hashlib
import logging
import re
from pathlib import Path

import pandas as pd

from kadr.errors import InputError
from kadr.ingest.columns import Columns, column_key
from kadr.ingest.formats.base import find_image_folders, read_listed_images, read_test_queries
from kadr.ingest.formats.flickr8k import has_annotations
from kadr.ingest.raw_input import DETAIL_COLUMNS, RawInput, RawQueries, RawRatings
from kadr.ingest.table_files import OTHER_COLUMNS, find_table, normalise_texts, read_rows

logger = logging.getLogger(__name__)

STEM = "train_dataset"
CROWD_COLUMN = "crowd_rates"
VOTE_COLUMNS = ("crowd_yes", "crowd_no")
_EXPERT_KEY = re.compile(r"(?:rate|rating|expert)(\d+)|rating")
"""Key of a column of expert ratings. The key is the name in lower case, without separators."""


class SingleFile:
    """Reader for train_dataset.csv, a file that contains all rated pairs.

    The columns rate_1, rate_2 and so on, or a single column rating, contain expert ratings. The column crowd_rates
    contains the share of positive crowd votes, or a list of votes such as [1, 0, 1]. The columns crowd_yes and crowd_no
    contain the numbers of positive and negative crowd votes. If each row contains the rating of one rater, a column
    such as worker_id can contain the rater, and a column such as created_at the time of the rating.

    Rows with the same text share one query_id, which is a hash of the text.
    """

    layout = f"{STEM}.csv (img_id, text, rate_1 .. rate_N, {CROWD_COLUMN}), train_images/ and test_images/"

    def recognises(self, folder: Path) -> bool:
        """Return whether a folder contains train_dataset.csv but no Flickr8k annotation file."""
        return find_table(folder, STEM).is_file() and not has_annotations(folder)

    def read(self, folder: Path) -> RawInput:
        """Read train_dataset.csv and the test split.

        Raises:
            InputError: a file or a column is missing, or a file cannot be read.
        """
        path = find_table(folder, STEM)
        table = read_rows(path, Columns(("image", "text"), DETAIL_COLUMNS, others=_is_rating_column))
        rows = table.rows
        header = [*table.column_names.values(), *table.unread]
        names = [name for name in table.column_names if name not in ("image", "text", *DETAIL_COLUMNS)]
        expert_columns, crowd_column, vote_columns = _find_rating_columns(path, names, header)
        if table.unread:
            logger.warning("Ignored columns in %s: %s", path.name, ", ".join(table.unread))
        rating_columns = [*expert_columns, *([crowd_column] if crowd_column else []), *(vote_columns or ())]
        texts = normalise_texts(rows["text"])
        rows = rows.rename(columns={"image": "image_id"}).assign(text=texts, query_id=hash_texts(texts))
        column_names = table.column_names | {
            "image_id": table.column_names["image"],
            "query_id": table.column_names["text"],
        }
        others = [name for name in (*DETAIL_COLUMNS, OTHER_COLUMNS) if name in rows.columns]
        pairs = rows[["image_id", "query_id", *rating_columns, *others]]
        queries = rows.loc[rows["text"] != "", ["query_id", "text"]].drop_duplicates().assign(image_id="")
        return RawInput(
            folders=find_image_folders(folder),
            ratings=(RawRatings(path.name, pairs, column_names, expert_columns, crowd_column, vote_columns),),
            queries=(RawQueries(path.name, queries, column_names, "train"), *read_test_queries(folder)),
            listed_images=read_listed_images(folder),
        )


def _is_rating_column(name: str) -> bool:
    key = column_key(name)
    return bool(_EXPERT_KEY.fullmatch(key)) or key in map(column_key, (CROWD_COLUMN, *VOTE_COLUMNS))


def _find_rating_columns(
    path: Path, columns: list[str], header: list[str]
) -> tuple[tuple[str, ...], str | None, tuple[str, str] | None]:
    """Return the expert rating columns, the crowd share column and the vote count columns."""
    names = {column_key(name): name for name in columns}
    numbers = {name: int(match[1] or 0) for key, name in names.items() if (match := _EXPERT_KEY.fullmatch(key))}
    experts = tuple(sorted(numbers, key=lambda name: numbers[name]))
    crowd = names.get(column_key(CROWD_COLUMN))
    positive, negative = (names.get(column_key(name)) for name in VOTE_COLUMNS)
    votes = (positive, negative) if positive is not None and negative is not None else None
    if not experts and crowd is None and votes is None:
        raise InputError(
            f"{path}: the header ({', '.join(header)}) contains no rating columns. Columns of expert ratings must be "
            "named rate_1, rate_2 and so on. Columns of crowd votes must be named crowd_rates, or crowd_yes and "
            "crowd_no. Add or rename the columns."
        )
    return experts, crowd, votes


def hash_texts(texts: pd.Series) -> pd.Series:
    """Return a query_id for each normalised text: `t` followed by the first 12 hexadecimal digits of its SHA-256 hash.

    The query_id of an empty text is "".

    >>> hash_texts(pd.Series(["A red ball", ""])).tolist()
    ['t816159e27379', '']
    """
    ids = {text: f"t{hashlib.sha256(text.encode()).hexdigest()[:12]}" if text else "" for text in texts.unique()}
    return texts.map(ids).astype("str")
