"""Arrow schemas of all tables. A table is checked against its schema whenever it is written or read.

A schema defines the names and types of the columns, and which columns must not contain nulls. The Great Expectations
suites check values and distributions.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from kadr.errors import SchemaError
from kadr.io.storage import write_atomically

if TYPE_CHECKING:
    import pandas as pd

PAIR = ["image_id", "query_id"]
"""Columns that identify a pair of an image and a query."""


def required(name: str, type_: pa.DataType) -> pa.Field:
    """Return the field of a column that must not contain nulls."""
    return pa.field(name, type_, nullable=False)


IMAGES = pa.schema(
    [
        required("image_id", pa.string()),
        required("path", pa.string()),  # absolute, or relative to the project folder
        required("split", pa.string()),  # train (may be rated), test (for retrieval) or corpus (captions only)
        pa.field("sha256", pa.string()),  # SHA-256 of the file; null if the file is missing
        pa.field("bytes", pa.int64()),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("phash", pa.string()),  # 64-bit perceptual hash, hexadecimal
        pa.field("signature", pa.binary()),  # details and colours, see kadr.io.image_signature
        pa.field("blur", pa.float64()),  # variance of the Laplacian; lower values indicate more blur
        pa.field("exposure", pa.float64()),  # mean luminance, 0 (black) to 1 (white)
        required("status", pa.string()),  # ok, or the reason why the image cannot be used
    ]
)
QUERIES = pa.schema(
    [
        required("query_id", pa.string()),
        required("text", pa.string()),
        pa.field("image_id", pa.string()),  # image that the query was written for; null if unknown
        required("split", pa.string()),  # train or test
    ]
)
CAPTIONS = pa.schema(
    [
        required("caption_id", pa.string()),
        required("image_id", pa.string()),
        required("text", pa.string()),
    ]
)
RATINGS = pa.schema(
    [
        required("image_id", pa.string()),
        required("query_id", pa.string()),
        required("source", pa.string()),  # expert or crowd
        pa.field("rater", pa.string()),  # null if unknown
        required("rating", pa.float64()),
        required("scale_min", pa.float64()),
        required("scale_max", pa.float64()),
        required("votes", pa.int32()),  # number of people who gave this rating
    ]
)
QUARANTINE = pa.schema(
    [
        required("file", pa.string()),  # relative to ingest.source
        pa.field("row", pa.int64()),  # row number, starting at 1 after the header; null for images
        pa.field("column", pa.string()),
        pa.field("value", pa.string()),
        required("rule", pa.string()),
        required("kind", pa.string()),  # row or image
    ]
)
LEAKS = pa.schema(  # near-duplicate images and identical texts in different splits or folds
    [
        required("kind", pa.string()),  # photo or text
        required("left_split", pa.string()),  # train, test or corpus
        required("left_id", pa.string()),  # image_id, query_id or caption_id
        required("right_split", pa.string()),
        required("right_id", pa.string()),
        pa.field("distance", pa.int32()),  # number of differing bits in the 64-bit perceptual hashes; null for texts
    ]
)
RELEVANCE = pa.schema(
    [
        required("image_id", pa.string()),
        required("query_id", pa.string()),
        required("relevance", pa.float64()),  # 0..1
        required("weight", pa.float64()),  # > 0
        required("n_expert", pa.int32()),  # number of expert ratings
        required("n_crowd", pa.int32()),  # number of crowd votes
        pa.field("spread", pa.float64()),  # standard deviation of the ratings, scaled to 0..1; null for a single rating
        pa.field("sd", pa.float64()),  # posterior standard deviation of the relevance; null if not estimated
    ]
)
CLIP_PAIRS = pa.schema(  # rated pairs used to train the CLIP model
    [
        required("image_id", pa.string()),
        required("path", pa.string()),
        required("sha256", pa.string()),
        required("query_id", pa.string()),
        required("text", pa.string()),
        required("relevance", pa.float64()),  # 0..1
        required("weight", pa.float64()),  # > 0
    ]
)
WITHHELD = pa.schema([required(name, pa.string()) for name in PAIR])  # pairs that the relevance model must not use
PREDICTIONS = pa.schema(
    [
        required("image_id", pa.string()),
        required("query_id", pa.string()),
        required("relevance", pa.float64()),
        required("score", pa.float64()),
        required("fold", pa.int32()),  # number of the cell (image fold, query fold) that held out the pair
    ]
)

INDEXED_IMAGES = pa.schema(
    [
        required("row", pa.int64()),  # row of the image's vector in the index
        required("image_id", pa.string()),
        required("path", pa.string()),
        pa.field("split", pa.string()),  # null for images that `kadr index` added
        pa.field("sha256", pa.string()),
        pa.field("bytes", pa.int64()),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("phash", pa.string()),
        pa.field("signature", pa.binary()),
        pa.field("blur", pa.float64()),
        pa.field("exposure", pa.float64()),
        pa.field("modified", pa.timestamp("us")),  # file modification time, UTC; null in the pipeline index
        pa.field("taken", pa.timestamp("ms")),  # capture time, in the local time of the camera
        pa.field("taken_source", pa.string()),  # exif, xmp, gps, name (of the file) or file (its modification time)
        pa.field("latitude", pa.float64()),  # EXIF latitude, degrees north
        pa.field("longitude", pa.float64()),  # EXIF longitude, degrees east
        pa.field("colours", pa.list_(pa.field("element", pa.string()))),  # dominant colours, largest area first
        pa.field("camera", pa.string()),  # make and model
        pa.field("description", pa.string()),  # title, description and keywords in the metadata of the file
        pa.field("image_text", pa.string()),  # text that is visible in the image, found by OCR
    ]
)


def embeddings_schema(dim: int) -> pa.Schema:
    """Return the schema of an embeddings table: the columns `id` and `vector`, a float32 vector of length `dim`."""
    vector = pa.field("vector", pa.list_(pa.field("item", pa.float32()), dim), nullable=False)
    return pa.schema([required("id", pa.string()), vector])


def scale_to_unit(ratings: "pd.DataFrame") -> "pd.Series[float]":
    """Scale the ratings of a RATINGS table from `scale_min`..`scale_max` to 0..1."""
    return (ratings["rating"] - ratings["scale_min"]) / (ratings["scale_max"] - ratings["scale_min"])


def share_scale(ratings: "pd.DataFrame") -> "pd.DataFrame":
    """Scale the ratings of a RATINGS table to 0..1 if they are on different scales.

    If all ratings are on the same scale, the table is returned unchanged.
    """
    if len(ratings[["scale_min", "scale_max"]].drop_duplicates()) <= 1:
        return ratings
    return ratings.assign(rating=scale_to_unit(ratings), scale_min=0.0, scale_max=1.0)


def check_schema(table: pa.Table, schema: pa.Schema, path: str) -> None:
    """Check that a table has the columns and types of a schema, and no nulls in required columns.

    Args:
        table: table to check.
        schema: expected schema.
        path: name of the table for error messages.

    Raises:
        SchemaError: the table does not match the schema.
    """
    if table.schema.remove_metadata() != schema.remove_metadata():
        expected = ", ".join(f"{field.name} {field.type}" for field in schema)
        actual = ", ".join(f"{field.name} {field.type}" for field in table.schema)
        raise SchemaError(
            f"{path}: the columns are ({actual}), expected ({expected}). Rerun the stage that writes the table."
        )
    for field in schema:
        n_nulls = 0 if field.nullable else table.column(field.name).null_count
        if n_nulls:
            raise SchemaError(
                f"{path}: column {field.name} has {n_nulls} nulls, expected none. Rerun the stage that writes the "
                "table."
            )


def add_missing_columns(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return a table with all nullable columns of a schema. Columns that an older version did not write are null.

    The columns of the schema come first, in its order. Columns that are not in the schema follow.
    """
    for field in schema:
        if field.name not in table.column_names and field.nullable:
            table = table.append_column(field, pa.nulls(len(table), field.type))
    names = [name for name in schema.names if name in table.column_names]
    return table.select([*names, *(name for name in table.column_names if name not in names)])


def write_table(table: pa.Table, path: Path, schema: pa.Schema) -> None:
    """Check a table against its schema and write it atomically as Parquet.

    Raises:
        SchemaError: the table does not match the schema.
    """
    metadata = table.schema.metadata
    table = table.select(schema.names).cast(schema).replace_schema_metadata(metadata)
    check_schema(table, schema, str(path))
    # Only strings are dictionary-encoded, because numbers rarely repeat.
    string_columns = [field.name for field in schema if pa.types.is_string(field.type)]
    options = {"compression": "zstd", "use_dictionary": string_columns, "write_page_checksum": True}
    with write_atomically(path) as partial:
        pq.write_table(table, partial, **options)


def read_table(path: Path, schema: pa.Schema, *, fill_missing: bool = False) -> pa.Table:
    """Read a Parquet file and check it against its schema.

    Args:
        path: path of the file.
        schema: expected schema.
        fill_missing: whether nullable columns that the file lacks are null, as in files of older versions.

    Raises:
        SchemaError: the file is missing, damaged or does not match the schema.
    """
    table = read_parquet(path)
    if fill_missing:
        table = add_missing_columns(table, schema)
    check_schema(table, schema, str(path))
    return table


def read_parquet(path: Path) -> pa.Table:
    """Read a Parquet file and verify its checksums.

    Raises:
        SchemaError: the file is missing or damaged.
    """
    try:
        return pq.read_table(path, page_checksum_verification=True)
    except FileNotFoundError as error:
        raise missing_table(path) from error
    except (pa.ArrowException, OSError) as error:  # Arrow raises OSError for data that it cannot decompress
        raise damaged_table(path, error) from error


def missing_table(path: Path) -> SchemaError:
    """Return the error for a table that does not exist."""
    return SchemaError(f"{path}: the table does not exist. Run `dvc repro` to create it.")


def damaged_table(path: Path, error: Exception) -> SchemaError:
    """Return the error for a table that cannot be read."""
    return SchemaError(f"{path}: the Parquet file cannot be read ({error}). Delete the file and run `dvc repro`.")
