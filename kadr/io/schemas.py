"""The library room's tables: the Arrow schema of each, checked on every write and every read.

Dtypes and required columns belong here; Great Expectations owns values and distributions.
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
"""The columns that say which pair a row is of."""


def required(name: str, type_: pa.DataType) -> pa.Field:
    """A column that has a value in every row."""
    return pa.field(name, type_, nullable=False)


IMAGES = pa.schema(
    [
        required("image_id", pa.string()),
        required("path", pa.string()),  # absolute, or relative to the project
        required("split", pa.string()),  # train (may be rated), test (for retrieval), corpus (captioned only)
        pa.field("sha256", pa.string()),  # of the file's bytes; null where there is no file
        pa.field("bytes", pa.int64()),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("phash", pa.string()),  # 64-bit perceptual hash, hexadecimal
        pa.field("blur", pa.float64()),  # variance of the Laplacian; the lower, the more blurred
        pa.field("exposure", pa.float64()),  # mean luminance, 0 black to 1 white
        required("status", pa.string()),  # ok, or the reason why the photo is set aside
    ]
)
QUERIES = pa.schema(
    [
        required("query_id", pa.string()),
        required("text", pa.string()),
        pa.field("image_id", pa.string()),  # the photo that the text was written for, where known
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
        pa.field("rater", pa.string()),  # null where the rater is unknown
        required("rating", pa.float64()),
        required("scale_min", pa.float64()),
        required("scale_max", pa.float64()),
        required("votes", pa.int32()),  # how many persons stand behind the rating
    ]
)
QUARANTINE = pa.schema(
    [
        required("file", pa.string()),  # relative to ingest.source
        pa.field("row", pa.int64()),  # 1-based line of data in that file (the header is not counted); null for photos
        pa.field("column", pa.string()),
        pa.field("value", pa.string()),
        required("rule", pa.string()),
        required("kind", pa.string()),  # row or image
    ]
)
LEAKS = pa.schema(  # pairs of nearly equal photos, or of equal texts, that may stand on both sides of a split or fold
    [
        required("kind", pa.string()),  # photo or text
        required("left_split", pa.string()),  # train, test or corpus
        required("left_id", pa.string()),  # image_id, query_id, or caption_id
        required("right_split", pa.string()),
        required("right_id", pa.string()),
        pa.field("distance", pa.int32()),  # in how many of 64 bits the photos' perceptual hashes differ; null for texts
    ]
)
RELEVANCE = pa.schema(
    [
        required("image_id", pa.string()),
        required("query_id", pa.string()),
        required("relevance", pa.float64()),  # 0..1
        required("weight", pa.float64()),  # > 0
        required("n_expert", pa.int32()),  # expert ratings behind the relevance
        required("n_crowd", pa.int32()),  # crowd votes behind the relevance
        pa.field("spread", pa.float64()),  # standard deviation of the ratings on 0..1; null for a single rating
        pa.field("sd", pa.float64()),  # posterior standard deviation of the relevance; null where the method has none
    ]
)
CLIP_PAIRS = pa.schema(  # rated pairs that the CLIP learns from, with all that its training wants of them
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
WITHHELD = pa.schema([required(name, pa.string()) for name in PAIR])  # rated pairs that the relevance model never sees
PREDICTIONS = pa.schema(
    [
        required("image_id", pa.string()),
        required("query_id", pa.string()),
        required("relevance", pa.float64()),
        required("score", pa.float64()),
        required("fold", pa.int32()),  # the cell of (image fold, query fold) that held the pair out
    ]
)

INDEXED = pa.schema(
    [
        required("row", pa.int64()),  # of the photo's vector in the index
        required("image_id", pa.string()),
        required("path", pa.string()),
        pa.field("split", pa.string()),  # null for photos that did not come through ingest
        pa.field("sha256", pa.string()),
        pa.field("bytes", pa.int64()),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("phash", pa.string()),
        pa.field("blur", pa.float64()),
        pa.field("exposure", pa.float64()),
        pa.field(
            "modified", pa.timestamp("us")
        ),  # of the file, UTC; null for photos of ingest, whose bytes alone count
        pa.field("taken", pa.timestamp("ms")),  # EXIF, by the camera's clock
        pa.field("latitude", pa.float64()),  # EXIF, degrees north
        pa.field("longitude", pa.float64()),  # EXIF, degrees east
        pa.field(
            "colours", pa.list_(pa.field("element", pa.string()))
        ),  # names of the colours that cover most, the greatest first
    ]
)


def embeddings_schema(dim: int) -> pa.Schema:
    """Schema of an embeddings table: `id` and a unit-norm float32 `vector` of `dim` numbers."""
    vector = pa.field("vector", pa.list_(pa.field("item", pa.float32()), dim), nullable=False)
    return pa.schema([required("id", pa.string()), vector])


def on_unit(ratings: "pd.DataFrame") -> "pd.Series[float]":
    """The ratings of a RATINGS table on 0..1, from their own scales."""
    return (ratings["rating"] - ratings["scale_min"]) / (ratings["scale_max"] - ratings["scale_min"])


def check_schema(table: pa.Table, schema: pa.Schema, where: str) -> None:
    """Raise SchemaError unless `table` has exactly the schema's columns and types, and no null where none may be."""
    if table.schema.remove_metadata() != schema.remove_metadata():
        wanted = ", ".join(f"{field.name} {field.type}" for field in schema)
        found = ", ".join(f"{field.name} {field.type}" for field in table.schema)
        raise SchemaError(f"{where}: the columns are ({found}), wanted ({wanted}). Re-run the stage that writes it.")
    for field in schema:
        nulls = 0 if field.nullable else table.column(field.name).null_count
        if nulls:
            raise SchemaError(
                f"{where}: column {field.name} has {nulls} nulls, wanted none. Re-run the stage that writes it."
            )


def write_table(table: pa.Table, path: Path, schema: pa.Schema) -> None:
    """Check `table` against `schema` and write it to `path` as Parquet, whole or not at all (rename)."""
    metadata = table.schema.metadata
    table = table.select(schema.names).cast(schema).replace_schema_metadata(metadata)
    check_schema(table, schema, str(path))
    words = [field.name for field in schema if pa.types.is_string(field.type)]
    options = {"compression": "zstd", "use_dictionary": words, "write_page_checksum": True}
    with write_atomically(path) as partial:
        pq.write_table(table, partial, **options)  # numbers repeat too little for a dictionary


def read_table(path: Path, schema: pa.Schema) -> pa.Table:
    """Read the Parquet file `path` and check it against `schema`. Raises SchemaError where it is missing or differs."""
    table = read_parquet(path)
    check_schema(table, schema, str(path))
    return table


def read_parquet(path: Path) -> pa.Table:
    """Read a Parquet file, its pages by their checksums. Raises SchemaError where it is missing or damaged."""
    try:
        return pq.read_table(path, page_checksum_verification=True)
    except FileNotFoundError as error:
        raise SchemaError(f"{path}: no such table. Run `dvc repro` to make it.") from error
    except (pa.ArrowException, OSError) as error:  # Arrow has an OSError for bytes that do not unpack
        raise SchemaError(f"{path}: not a readable Parquet file ({error}). Delete it and run `dvc repro`.") from error
