"""Reader for the single_file format, in which each row of train_dataset.csv contains all ratings of one pair."""

import hashlib
import logging
import re
from pathlib import Path

import pandas as pd

from kadr.errors import InputError
from kadr.ingest.formats.base import IMAGE_FOLDERS, read_listed_images, read_test_queries
from kadr.ingest.formats.flickr8k import has_annotations
from kadr.ingest.raw_input import RawInput, RawQueries, RawRatings
from kadr.ingest.text_tables import normalise_texts, read_rows, require_columns

logger = logging.getLogger(__name__)

FILE = "train_dataset.csv"
CROWD_COLUMN = "crowd_rates"
VOTE_COLUMNS = ("crowd_yes", "crowd_no")
_EXPERT_COLUMN = re.compile(r"^rate_\d+$")


class SingleFile:
    """Reader for train_dataset.csv, a file that contains all rated pairs.

    The columns rate_1, rate_2 and so on contain expert ratings. The column crowd_rates contains the share of positive
    crowd votes, or a list of votes such as [1, 0, 1]. The columns crowd_yes and crowd_no contain the numbers of
    positive and negative crowd votes.

    Rows with the same text share one query_id, which is a hash of the text.
    """

    layout = f"{FILE} (img_id, text, rate_1 .. rate_N, {CROWD_COLUMN}), train_images/ and test_images/"

    def recognises(self, folder: Path) -> bool:
        """Return whether a folder contains train_dataset.csv but no Flickr8k annotation file."""
        return (folder / FILE).is_file() and not has_annotations(folder)

    def read(self, folder: Path) -> RawInput:
        """Read train_dataset.csv and the test split.

        Raises:
            InputError: a file or a column is missing, or a file cannot be read.
        """
        rows = read_rows(folder / FILE, ("img_id", "text"))
        require_columns(folder / FILE, rows, ("img_id", "text"))
        expert_columns, crowd_column, vote_columns = _find_rating_columns(folder / FILE, list(rows.columns))
        rating_columns = [*expert_columns, *([crowd_column] if crowd_column else []), *(vote_columns or ())]
        texts = normalise_texts(rows["text"])
        rows = rows.assign(image_id=rows["img_id"], text=texts, query_id=hash_texts(texts))
        column_names = {"image_id": "img_id", "query_id": "text"}
        pairs = rows[["image_id", "query_id", *rating_columns]]
        queries = rows.loc[rows["text"] != "", ["query_id", "text"]].drop_duplicates().assign(image_id="")
        return RawInput(
            folders=IMAGE_FOLDERS,
            ratings=(RawRatings(FILE, pairs, column_names, expert_columns, crowd_column, vote_columns),),
            queries=(RawQueries(FILE, queries, column_names, "train"), *read_test_queries(folder)),
            listed_images=read_listed_images(folder),
        )


def _find_rating_columns(path: Path, header: list[str]) -> tuple[tuple[str, ...], str | None, tuple[str, str] | None]:
    """Return the expert rating columns, the crowd share column and the vote count columns. Log unused columns."""
    experts = tuple(sorted(filter(_EXPERT_COLUMN.match, header), key=lambda name: int(name.removeprefix("rate_"))))
    crowd = CROWD_COLUMN if CROWD_COLUMN in header else None
    votes = VOTE_COLUMNS if set(VOTE_COLUMNS) <= set(header) else None
    if not experts and crowd is None and votes is None:
        raise InputError(
            f"{path}: the header ({', '.join(header)}) contains no rating columns. Columns of expert ratings must be "
            "named rate_1, rate_2 and so on. Columns of crowd votes must be named crowd_rates, or crowd_yes and "
            "crowd_no. Add or rename the columns."
        )
    used = {"img_id", "text", *experts, crowd, *(votes or ())}
    unused = [name for name in header if name and name not in used]
    if unused:
        logger.warning("Ignored columns in %s: %s", path.name, ", ".join(unused))
    return experts, crowd, votes


def hash_texts(texts: pd.Series) -> pd.Series:
    """Return a query_id for each normalised text: `t` followed by the first 12 hexadecimal digits of its SHA-256 hash.

    The query_id of an empty text is "".

    >>> hash_texts(pd.Series(["A red ball", ""])).tolist()
    ['t816159e27379', '']
    """
    ids = {text: f"t{hashlib.sha256(text.encode()).hexdigest()[:12]}" if text else "" for text in texts.unique()}
    return texts.map(ids).astype("str")
