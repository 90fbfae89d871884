"""The ingest part's form `long`: one rating a row with its rater; alone, or beside the files of another form."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kadr.errors import InputError
from kadr.ingest.formats import flickr8k, single_file
from kadr.ingest.raw_input import Form, RawInput, RawLongRatings, RawQueries
from kadr.ingest.test_split import read_listed, read_test_queries
from kadr.ingest.text_tables import TEXT_ENDINGS, find_file, normalise_texts, read_rows, require_columns

logger = logging.getLogger(__name__)

STEM = "ratings_long"
COLUMNS = ("image", "text", "rater", "rating")
_ENDINGS = (".csv", *(ending for ending in TEXT_ENDINGS if ending != ".csv"), ".parquet")


def read(source: Path) -> RawInput:
    """Read ratings_long.csv (or .tsv, .txt, .parquet: image, text, rater, rating, and source where given).

    Raises:
        InputError: where a file is missing or unreadable, or a column is missing.
    """
    alone = RawInput(
        folders={"train": "train_images", "test": "test_images"},
        ratings=(),
        queries=read_test_queries(source),
        listed=read_listed(source),
    )
    return add_long_ratings(alone, find_long_file(source))


def find_long_file(source: Path) -> Path:
    """The file of long ratings, whether it is there or not. Raises InputError where there are two."""
    return find_file(source, STEM, endings=_ENDINGS)


def add_long_ratings(raw: RawInput, path: Path) -> RawInput:
    """The input with the ratings of `path` too; a text that a training file has keeps its id. Raises InputError."""
    rows = _read_parquet(path) if path.suffix == ".parquet" else read_rows(path, COLUMNS)
    require_columns(path, rows, COLUMNS)
    unread = [name for name in rows.columns if name and name not in {*COLUMNS, "source"}]
    if unread:
        logger.warning("%s: columns not read: %s", path.name, ", ".join(unread))
    source = rows["source"].str.lower() if "source" in rows.columns else ""
    text = normalise_texts(rows["text"])
    known = known_texts(raw)
    query_id = text.map(known).astype("str").fillna(single_file.query_ids(text))
    rows = rows.rename(columns={"image": "image_id"}).assign(query_id=query_id, text=text, source=source)
    rows["source"] = rows["source"].mask(rows["source"] == "", "expert")
    names = {"image_id": "image", "query_id": "text"}
    new = rows.loc[~text.isin(known) & (text != ""), ["query_id", "text"]].drop_duplicates().assign(image_id="")
    ratings = RawLongRatings(path.name, rows[["image_id", "query_id", "rater", "rating", "source"]], names)
    return replace(raw, ratings=(*raw.ratings, ratings)).with_texts(RawQueries(path.name, new, names, "train"))


def known_texts(raw: RawInput) -> Mapping[str, str]:
    """Normalised text -> id of the first training query that has it."""
    known: dict[str, str] = {}
    for file in raw.queries:
        if file.split == "train":
            for text, query_id in zip(file.rows["text"], file.rows["query_id"], strict=True):
                if query_id:
                    known.setdefault(text, query_id)
    return known


def _read_parquet(path: Path) -> pd.DataFrame:
    """All columns as stripped text, "" where null; index `row`, 1-based."""
    try:
        table = pq.read_table(path)
        columns = {
            name: pc.utf8_trim_whitespace(pc.fill_null(table.column(name).cast(pa.string()), "")).to_pandas()
            for name in table.column_names
        }
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: not a readable table ({error}); write it as Parquet with plain columns") from error
    rows = pd.DataFrame(columns)
    return rows.set_axis(pd.RangeIndex(1, len(rows) + 1, name="row"))


FORM = Form(
    wants=f"{STEM}.csv or .parquet ({', '.join(COLUMNS)}, and source: expert or crowd), train_images/ and test_images/",
    recognises=lambda folder: (
        find_long_file(folder).is_file()
        and not flickr8k.FORM.recognises(folder)
        and not single_file.FORM.recognises(folder)
    ),
    read=read,
)
