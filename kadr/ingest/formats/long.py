"""Reader for the long format, in which each row of ratings_long.csv contains one rating and its rater."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from kadr.ingest.blank_words import clear_words
from kadr.ingest.columns import Columns
from kadr.ingest.formats.base import find_image_folders, read_listed_images, read_test_queries
from kadr.ingest.formats.single_file import hash_texts
from kadr.ingest.raw_input import DETAIL_COLUMNS, RawInput, RawLongRatings, RawQueries
from kadr.ingest.table_files import OTHER_COLUMNS, TableRows, find_table, normalise_texts, read_rows
from kadr.io.spreadsheet_cells import unescape_cell

logger = logging.getLogger(__name__)

STEM = "ratings_long"
COLUMNS = ("image", "text", "rating")


class LongTable:
    """Reader for a table that contains one rating per row."""

    layout = (
        f"{STEM}.csv or {STEM}.parquet ({', '.join(COLUMNS)}, and optionally rater, time, and source, which is expert "
        "or crowd), train_images/ and test_images/"
    )

    def recognises(self, folder: Path) -> bool:
        """Return whether a folder contains a ratings_long file."""
        return find_long_file(folder).is_file()

    def read(self, folder: Path) -> RawInput:
        """Read the ratings_long file and the test split.

        Raises:
            InputError: a file or a column is missing, or a file cannot be read.
        """
        without_ratings = RawInput(
            folders=find_image_folders(folder),
            ratings=(),
            queries=read_test_queries(folder),
            listed_images=read_listed_images(folder),
        )
        return add_long_ratings(without_ratings, find_long_file(folder))


def find_long_file(folder: Path) -> Path:
    """Return the path of the ratings_long file, or its default path if the folder contains no such file.

    Raises:
        InputError: the folder contains several ratings_long files.
    """
    return find_table(folder, STEM)


def add_long_ratings(raw: RawInput, path: Path) -> RawInput:
    """Add the ratings in a ratings_long file to the raw input.

    A text that also occurs in another file keeps the query_id from that file.

    Raises:
        InputError: the file or a column is missing, or the file cannot be read.
    """
    table = read_long_rows(path)
    rows = table.rows
    if table.unread:
        logger.warning("Ignored columns in %s: %s", path.name, ", ".join(table.unread))
    source = clear_words(rows["source"]).str.lower() if "source" in rows.columns else ""
    rater = rows["rater"] if "rater" in rows.columns else ""
    texts = normalise_texts(rows["text"])
    known_ids = training_query_ids(raw)
    query_ids = texts.map(known_ids).astype("str").fillna(hash_texts(texts))
    rows = rows.rename(columns={"image": "image_id"}).assign(query_id=query_ids, text=texts, source=source, rater=rater)
    rows["source"] = rows["source"].mask(rows["source"] == "", "expert")
    column_names = table.column_names | {
        "image_id": table.column_names["image"],
        "query_id": table.column_names["text"],
    }
    others = [name for name in ("time", "scale_min", "scale_max", OTHER_COLUMNS) if name in rows.columns]
    new_texts = rows.loc[~texts.isin(known_ids) & (texts != ""), ["query_id", "text"]].drop_duplicates()
    ratings = RawLongRatings(
        path.name, rows[["image_id", "query_id", "rater", "rating", "source", *others]], column_names
    )
    queries = RawQueries(path.name, new_texts.assign(image_id=""), column_names, "train")
    return replace(raw, ratings=(*raw.ratings, ratings)).add_training_texts(queries)


def read_long_rows(path: Path) -> TableRows:
    """Read the rows of a ratings_long file.

    The server adds an apostrophe to values that a spreadsheet would compute, such as `=1+1`. It is removed.

    Raises:
        InputError: the file or a column is missing, or the file cannot be read.
    """
    table = read_rows(path, Columns(COLUMNS, ("source", *DETAIL_COLUMNS)))
    texts = {name: table.rows[name].map(unescape_cell) for name in ("image", "text", "rater") if name in table.rows}
    return replace(table, rows=table.rows.assign(**texts))


def training_query_ids(raw: RawInput) -> Mapping[str, str]:
    """Return the query_id of each normalised training text. If a text has several IDs, the first ID is used."""
    ids: dict[str, str] = {}
    for file in raw.queries:
        if file.split == "train":
            for text, query_id in zip(file.rows["text"], file.rows["query_id"], strict=True):
                if query_id:
                    ids.setdefault(text, query_id)
    return ids
