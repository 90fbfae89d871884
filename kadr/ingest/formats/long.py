"""Reader for the long format, in which each row of ratings_long.csv contains one rating and its rater."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kadr.errors import InputError
from kadr.ingest.formats.base import IMAGE_FOLDERS, read_listed_images, read_test_queries
from kadr.ingest.formats.single_file import hash_texts
from kadr.ingest.raw_input import RawInput, RawLongRatings, RawQueries
from kadr.ingest.text_tables import TEXT_SUFFIXES, find_file, normalise_texts, read_rows, require_columns

logger = logging.getLogger(__name__)

STEM = "ratings_long"
COLUMNS = ("image", "text", "rater", "rating")
_SUFFIXES = (".csv", *(suffix for suffix in TEXT_SUFFIXES if suffix != ".csv"), ".parquet")


class LongTable:
    """Reader for a text table or Parquet file that contains one rating per row."""

    layout = (
        f"{STEM}.csv or {STEM}.parquet ({', '.join(COLUMNS)}, and optionally source, which is expert or crowd), "
        "train_images/ and test_images/"
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
            folders=IMAGE_FOLDERS,
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
    return find_file(folder, STEM, suffixes=_SUFFIXES)


def add_long_ratings(raw: RawInput, path: Path) -> RawInput:
    """Add the ratings in a ratings_long file to the raw input.

    A text that also occurs in another file keeps the query_id from that file.

    Raises:
        InputError: the file or a column is missing, or the file cannot be read.
    """
    rows = _read_parquet(path) if path.suffix == ".parquet" else read_rows(path, COLUMNS)
    require_columns(path, rows, COLUMNS)
    unused = [name for name in rows.columns if name and name not in {*COLUMNS, "source"}]
    if unused:
        logger.warning("Ignored columns in %s: %s", path.name, ", ".join(unused))
    source = rows["source"].str.lower() if "source" in rows.columns else ""
    texts = normalise_texts(rows["text"])
    known_ids = training_query_ids(raw)
    query_ids = texts.map(known_ids).astype("str").fillna(hash_texts(texts))
    rows = rows.rename(columns={"image": "image_id"}).assign(query_id=query_ids, text=texts, source=source)
    rows["source"] = rows["source"].mask(rows["source"] == "", "expert")
    column_names = {"image_id": "image", "query_id": "text"}
    new_texts = rows.loc[~texts.isin(known_ids) & (texts != ""), ["query_id", "text"]].drop_duplicates()
    ratings = RawLongRatings(path.name, rows[["image_id", "query_id", "rater", "rating", "source"]], column_names)
    queries = RawQueries(path.name, new_texts.assign(image_id=""), column_names, "train")
    return replace(raw, ratings=(*raw.ratings, ratings)).add_training_texts(queries)


def training_query_ids(raw: RawInput) -> Mapping[str, str]:
    """Return the query_id of each normalised training text. If a text has several IDs, the first ID is used."""
    ids: dict[str, str] = {}
    for file in raw.queries:
        if file.split == "train":
            for text, query_id in zip(file.rows["text"], file.rows["query_id"], strict=True):
                if query_id:
                    ids.setdefault(text, query_id)
    return ids


def _read_parquet(path: Path) -> pd.DataFrame:
    """Read all columns of a Parquet file as text without surrounding spaces.

    Null values become "". The index `row` starts at 1.
    """
    try:
        table = pq.read_table(path)
        columns = {
            name: pc.utf8_trim_whitespace(pc.fill_null(table.column(name).cast(pa.string()), "")).to_pandas()
            for name in table.column_names
        }
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"{path}: the table cannot be read ({error}). Save the table as a Parquet file that contains only text and "
            "numbers."
        ) from error
    rows = pd.DataFrame(columns)
    return rows.set_axis(pd.RangeIndex(1, len(rows) + 1, name="row"))
