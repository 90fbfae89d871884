"""Apply the filters of a query to the table of an index with DuckDB, and sort the images that pass."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from kadr.io.embeddings import Rows
from kadr.search.query import Filters, Sort

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_EARTH_RADIUS_KM = 6371.0088  # mean radius (IUGG)

HAS_CAPTURE_DATE = "(taken IS NOT NULL AND coalesce(taken_source, '') <> 'file')"
"""SQL condition that is true for images with a capture date. The modification time of a file is not a capture date."""

_FILE_NAME = "lower(nfc_normalize(parse_filename(path)))"
_HAVERSINE = (  # square of half the chord length between two points on the unit sphere
    "pow(sin(radians(latitude - $latitude) / 2), 2)"
    " + cos(radians($latitude)) * cos(radians(latitude)) * pow(sin(radians(longitude - $longitude) / 2), 2)"
)
_CONDITIONS = {  # filter -> SQL condition on a table with the schema INDEXED_IMAGES
    "folder": "contains(nfc_normalize('/' || path), nfc_normalize('/' || $folder || '/'))",
    "after": "taken >= $after",
    "before": "taken < $before",
    "min_side": "least(width, height) >= $min_side",
    "colour": "list_contains(colours, lower($colour))",
    "name": f"contains({_FILE_NAME}, lower(nfc_normalize($name)))",
    "camera": "contains(lower(camera), lower($camera))",
    "near": f"2 * {_EARTH_RADIUS_KM} * asin(least(1, sqrt({_HAVERSINE}))) <= $km",
    "box": "latitude BETWEEN $south AND $north AND longitude BETWEEN $west AND $east",
    "min_bytes": "bytes >= $min_bytes",
    "max_bytes": "bytes <= $max_bytes",
    "image_ids": "image_id IN (SELECT unnest($image_ids::VARCHAR[]))",
}
_NAME_PATTERN = f"{_FILE_NAME} GLOB lower(nfc_normalize($name))"
_BOX_OVER_DATE_LINE = "latitude BETWEEN $south AND $north AND (longitude >= $west OR longitude <= $east)"


def _natural(text: str) -> str:
    """Return an SQL expression that sorts texts without case and accents, and numbers in them by their value."""
    parts = f"regexp_extract_all(lower(strip_accents({text})), '[0-9]+|[^0-9]+')"
    padded = "lambda part: CASE WHEN part[1] BETWEEN '0' AND '9' THEN lpad(part, 20, '0') ELSE part END"
    return f"array_to_string(list_transform({parts}, {padded}), '')"


_FOLDERS = "(SELECT folder, {} AS folder_key FROM (SELECT DISTINCT parse_dirpath(path) AS folder FROM images))"
_IMAGES_WITH_FOLDERS = f"images JOIN {_FOLDERS.format(_natural('folder'))} ON folder = parse_dirpath(path)"
_ORDERS: dict[Sort, str] = {
    "newest": "taken DESC NULLS LAST, row",
    "oldest": "taken ASC NULLS LAST, row",
    "name": f"folder_key, folder, {_natural('parse_filename(path)')}, path",
}


def allowed_rows(table: "pa.Table", filters: Filters) -> Rows | None:
    """Return the row numbers of the images that pass the filters, ascending. Return None if no filter is set.

    The filters `min_relevance` and `min_cosine` are applied later, to the ranked candidates.

    Args:
        table: image metadata of the index, schema INDEXED_IMAGES.
        filters: filters of the query.
    """
    condition, values = filter_condition(filters)
    if not condition:
        return None
    return _select_rows(table, f"SELECT row FROM images WHERE {condition} ORDER BY row", values)  # noqa: S608


def sorted_rows(table: "pa.Table", filters: Filters, sort: Sort) -> Rows:
    """Return the row numbers of the images that pass the filters, by date or by name.

    Images without a date follow all others. Images with the same date are sorted by image ID. The order by name is by
    folder, then by file name. It ignores case and accents, and compares numbers by their value: `IMG_9.jpg` precedes
    `IMG_10.jpg`.

    Args:
        table: image metadata of the index, schema INDEXED_IMAGES.
        filters: filters of the query.
        sort: newest, oldest or name.
    """
    condition, values = filter_condition(filters)
    images = _IMAGES_WITH_FOLDERS if sort == "name" else "images"
    sql = f"SELECT row FROM {images} WHERE {condition or 'true'} ORDER BY {_ORDERS[sort]}"  # noqa: S608
    return _select_rows(table, sql, values)


def sort_rows(table: "pa.Table", rows: Rows, sort: Sort) -> Rows:
    """Return the positions that sort the given rows by date or by name, in the order of `sorted_rows`."""
    sorted_numbers = sorted_rows(table.select(["row", "path", "taken"]).take(rows), Filters(), sort)
    order = np.argsort(rows)
    return np.asarray(order[np.searchsorted(rows, sorted_numbers, sorter=order)], dtype=np.int64)


def filter_condition(filters: Filters) -> tuple[str, dict[str, Any]]:
    """Return an SQL condition for the filters on the metadata, and its parameters. Without a filter, it is empty."""
    conditions: dict[str, str] = {}
    values: dict[str, Any] = {}
    for name, sql in _CONDITIONS.items():
        value = getattr(filters, name)
        if value is None:
            continue
        conditions[name] = sql
        if name in ("near", "box"):
            values |= vars(value)
        else:
            values[name] = sorted(value) if name == "image_ids" else value
    if "folder" in values:
        values["folder"] = values["folder"].strip("/")
    if filters.name is not None and any(character in filters.name for character in "*?["):
        conditions["name"] = _NAME_PATTERN
    if filters.box is not None and filters.box.west > filters.box.east:
        conditions["box"] = _BOX_OVER_DATE_LINE
    if filters.dated is not None:
        conditions["dated"] = HAS_CAPTURE_DATE if filters.dated else f"NOT {HAS_CAPTURE_DATE}"
    return " AND ".join(f"({sql})" for sql in conditions.values()), values


def query_table(table: "pa.Table", sql: str, values: Mapping[str, object]) -> "duckdb.DuckDBPyConnection":
    """Run an SQL query on the table of an index, whose name in the query is `images`."""
    import duckdb

    connection = duckdb.connect()
    connection.register("images", table)
    return connection.execute(sql, dict(values))


def _select_rows(table: "pa.Table", sql: str, values: Mapping[str, object]) -> Rows:
    return np.asarray(query_table(table, sql, values).fetchnumpy()["row"], dtype=np.int64)
