"""Build the sorted tables of the `ingest` stage. The same input always produces identical tables."""

import logging
from collections.abc import Sequence
from dataclasses import asdict

import pandas as pd
import pyarrow as pa

from kadr.errors import InputError
from kadr.ingest.corpus import Corpus
from kadr.ingest.image_checks import ImageFile
from kadr.ingest.ratings import CheckedRatings
from kadr.io.schemas import CAPTIONS, IMAGES, QUERIES, RATINGS

logger = logging.getLogger(__name__)


def join_ratings(files: Sequence[CheckedRatings], source: str) -> pa.Table:
    """Combine the ratings of all files into one RATINGS table.

    The text columns of the table are dictionary-encoded, so 20 million ratings need 1 GB of memory instead of 2 GB.
    `write_table` writes the text columns without dictionary encoding.

    Args:
        files: validated ratings of each ratings file.
        source: path of the dataset folder, for error messages.

    Raises:
        InputError: no file contains a valid rating.
    """
    ratings = pd.concat([file.ratings for file in files])
    if ratings.empty:
        n_rows = sum(file.n_rows for file in files)
        raise InputError(
            f"{source}: none of the {n_rows:,} rows has a valid rating. Add valid ratings, or correct ingest.format."
        )
    if any(file.columns_identify_raters is False for file in files):
        logger.warning(
            "The expert ratings are sorted in nearly every row, so the rating columns do not identify raters. In the "
            "ratings table, these ratings have no rater ID."
        )
    ratings = ratings.sort_values(["image_id", "query_id", "source"], ignore_index=True)
    columns = {name: pa.array(ratings[name], type=_encode(RATINGS.field(name).type)) for name in RATINGS.names}
    return pa.table(columns)


def _encode(type_: pa.DataType) -> pa.DataType:
    """Return the dictionary-encoded type for a text type, and any other type unchanged."""
    return pa.dictionary(pa.int32(), type_) if pa.types.is_string(type_) else type_


def make_tables(
    images: Sequence[ImageFile], corpus: Corpus, queries: pd.DataFrame, ratings: pa.Table
) -> dict[str, pa.Table]:
    """Build all tables except the quarantine and the leaks table. Return a mapping from table name to sorted table."""
    return {
        "images": image_table(images),
        "corpus": image_table(corpus.images),
        "queries": sort_table(queries, QUERIES, "query_id"),
        "captions": sort_table(corpus.captions, CAPTIONS, "caption_id"),
        "ratings": ratings,
    }


def image_table(images: Sequence[ImageFile]) -> pa.Table:
    """Convert image files to a table with the schema IMAGES, sorted by image_id."""
    return pa.Table.from_pylist([asdict(image) for image in images], schema=IMAGES).sort_by("image_id")


def sort_table(frame: pd.DataFrame, schema: pa.Schema, *keys: str) -> pa.Table:
    """Convert a data frame to a table with the given schema, sorted by the columns `keys`."""
    table = pa.Table.from_pandas(frame[schema.names], schema=schema, preserve_index=False).replace_schema_metadata()
    return table.sort_by([(key, "ascending") for key in keys])
