"""The search's filters: DuckDB asks the index's table which photos may be found."""

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from kadr.errors import SearchError
from kadr.index.colours import COLOURS
from kadr.io.embeddings import Rows
from kadr.search.query import Filters

if TYPE_CHECKING:
    from kadr.index import Index

_CONDITIONS = {  # of the table `photos`, schema INDEXED
    "folder": "contains('/' || path, '/' || $folder || '/')",
    "after": "coalesce(taken, modified) >= $after",
    "before": "coalesce(taken, modified) < $before",
    "min_side": "least(width, height) >= $min_side",
    "colour": "list_contains(colours, $colour)",
}


def allowed_rows(index: "Index", filters: Filters) -> Rows | None:
    """Rows of the photos that pass, ascending; None where every photo may. Min_relevance is looked at later.

    Raises:
        SearchError: where no photo could pass.
    """
    values = {name: getattr(filters, name) for name in _CONDITIONS if getattr(filters, name) is not None}
    if filters.min_relevance is not None and not 0 <= filters.min_relevance <= 1:
        raise SearchError(f"the least relevance is {filters.min_relevance}; give one from 0 to 1")
    if not values:
        return None
    if "colour" in values and values["colour"] not in COLOURS:
        raise SearchError(f"the colour {values['colour']!r} is unknown; the colours are {', '.join(COLOURS)}")
    if "folder" in values:
        values["folder"] = str(values["folder"]).strip("/")
    return _ask(index.photos, " AND ".join(_CONDITIONS[name] for name in values), values)


def _ask(photos: pa.Table, condition: str, values: dict[str, object]) -> Rows:
    import duckdb

    with duckdb.connect() as connection:
        connection.register("photos", photos)
        found = connection.execute(f"SELECT row FROM photos WHERE {condition} ORDER BY row", values)  # noqa: S608
        return np.asarray(found.fetchnumpy()["row"], dtype=np.int64)
