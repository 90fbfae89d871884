"""Convert rows with an image, a text and a rating to raw ratings and training texts."""

from collections.abc import Iterable
from dataclasses import replace

import pandas as pd

from kadr.ingest.formats.single_file import hash_texts
from kadr.ingest.raw_input import RawLongRatings, RawQueries
from kadr.ingest.table_files import normalise_texts

RATING_COLUMNS = ("image_id", "query_id", "rater", "rating", "source")
_OPTIONAL = ("time", "scale_min", "scale_max")


def split_rated_texts(file: str, rows: pd.DataFrame, column_names: dict[str, str]) -> tuple[RawLongRatings, RawQueries]:
    """Split rows into ratings and texts. Rows with the same text share one query_id, which is a hash of the text.

    Args:
        file: name of the file that contains the rows.
        rows: table with the columns image_id, text, rater, rating and source, and optionally time, scale_min and
            scale_max. All cells are text. The index `row` contains the row numbers in the file.
        column_names: names of the columns image_id and text in the file.
    """
    texts = normalise_texts(rows["text"])
    rows = rows.assign(text=texts, query_id=hash_texts(texts))
    optional = [column for column in _OPTIONAL if column in rows.columns]
    names = {"image_id": column_names["image_id"], "query_id": column_names["text"]}
    queries = rows.loc[texts != "", ["query_id", "text"]].drop_duplicates().assign(image_id="")
    return (
        RawLongRatings(file, rows[[*RATING_COLUMNS, *optional]], names),
        RawQueries(file, queries, names, "train"),
    )


def drop_repeated_texts(files: Iterable[RawQueries]) -> tuple[RawQueries, ...]:
    """Drop the texts of each file that an earlier file contains, because each query_id must occur once."""
    known: set[str] = set()
    result = []
    for file in files:
        rows = file.rows[~file.rows["query_id"].isin(known)]
        known |= set(rows["query_id"])
        result.append(replace(file, rows=rows))
    return tuple(result)
