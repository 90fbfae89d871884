"""Apply the filters of a query to the table of an index with DuckDB."""

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from kadr.errors import SearchError
from kadr.index.colours import COLOURS
from kadr.io.embeddings import Rows
from kadr.search.query import Filters

if TYPE_CHECKING:
    from kadr.index import Index

_CONDITIONS = {  # SQL conditions on a table with the schema INDEXED_IMAGES
    "folder": "contains('/' || path, '/' || $folder || '/')",
    "after": "coalesce(taken, modified) >= $after",
    "before": "coalesce(taken, modified) < $before",
    "min_side": "least(width, height) >= $min_side",
    "colour": "list_contains(colours, $colour)",
}


def allowed_rows(index: "Index", filters: Filters) -> Rows | None:
    """Return the row numbers of the images that pass the filters, ascending. Return None if no filter is set.

    The filter `min_relevance` is applied later, to the predictions of the relevance model.

    Raises:
        SearchError: a filter has an invalid value.
    """
    values = {name: getattr(filters, name) for name in _CONDITIONS if getattr(filters, name) is not None}
    if filters.min_relevance is not None and not 0 <= filters.min_relevance <= 1:
        raise SearchError(f"The minimum relevance is {filters.min_relevance}, expected 0 to 1.")
    if not values:
        return None
    if "colour" in values and values["colour"] not in COLOURS:
        raise SearchError(f"The colour is {values['colour']!r}, expected one of {', '.join(COLOURS)}.")
    if "folder" in values:
        values["folder"] = str(values["folder"]).strip("/")
    return _select_rows(index.table, " AND ".join(_CONDITIONS[name] for name in values), values)


def _select_rows(table: pa.Table, condition: str, values: dict[str, object]) -> Rows:
    import duckdb

    with duckdb.connect() as connection:
        connection.register("images", table)
        result = connection.execute(f"SELECT row FROM images WHERE {condition} ORDER BY row", values)  # noqa: S608
        return np.asarray(result.fetchnumpy()["row"], dtype=np.int64)
