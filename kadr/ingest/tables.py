"""The ingest part's tables: what was checked, by kadr/io/schemas.py, sorted so that re-runs give the same bytes."""

import logging
from collections.abc import Sequence
from dataclasses import asdict

import pandas as pd
import pyarrow as pa

from kadr.errors import InputError
from kadr.ingest.corpus import Corpus
from kadr.ingest.image_checks import Photo
from kadr.ingest.rating_cells import CheckedRatings
from kadr.io.schemas import CAPTIONS, IMAGES, QUARANTINE, QUERIES, RATINGS

logger = logging.getLogger(__name__)


def join_ratings(files: Sequence[CheckedRatings], source: str) -> pa.Table:
    """The table RATINGS of all files, its texts still in dictionaries. Raises InputError where there is no good rating.

    Twenty million ratings take 1 GB so, and twice as much as plain text, which they become when they are written.
    """
    ratings = pd.concat([file.ratings for file in files])
    if ratings.empty:
        n_rows = sum(file.n_rows for file in files)
        raise InputError(
            f"{source}: no usable rating in {n_rows:,} rows, wanted some; see the forms in ingest.form, and rate photos"
        )
    if any(file.persons is False for file in files):
        logger.warning("the expert columns are sorted in nearly every row: they are not persons, so raters are unknown")
    ratings = ratings.sort_values(["image_id", "query_id", "source"], ignore_index=True)
    columns = {name: pa.array(ratings[name], type=_dictionary(RATINGS.field(name).type)) for name in RATINGS.names}
    return pa.table(columns)


def _dictionary(type_: pa.DataType) -> pa.DataType:
    """Of a column of texts, the type by which each different text is held once."""
    return pa.dictionary(pa.int32(), type_) if pa.types.is_string(type_) else type_


def make_tables(
    photos: Sequence[Photo], corpus: Corpus, queries: pd.DataFrame, ratings: pa.Table, quarantine: pd.DataFrame
) -> dict[str, pa.Table]:
    """All tables by name, each sorted, so that a second run gives the same bytes."""
    return {
        "images": photo_table(photos),
        "corpus": photo_table(corpus.photos),
        "queries": as_table(queries, QUERIES, "query_id"),
        "captions": as_table(corpus.captions, CAPTIONS, "caption_id"),
        "ratings": ratings,
        "quarantine": as_table(quarantine, QUARANTINE, "kind", "file", "row", "column"),
    }


def photo_table(photos: Sequence[Photo]) -> pa.Table:
    """The table IMAGES of these photos."""
    return pa.Table.from_pylist([asdict(photo) for photo in photos], schema=IMAGES).sort_by("image_id")


def as_table(frame: pd.DataFrame, schema: pa.Schema, *keys: str) -> pa.Table:
    """The columns of `schema` sorted by `keys`; rows with equal keys keep their order."""
    table = pa.Table.from_pandas(frame[schema.names], schema=schema, preserve_index=False).replace_schema_metadata()
    return table.sort_by([(key, "ascending") for key in keys])
