"""The ingest part's reading of what all forms share: test_queries.csv and test_images.csv, each optional."""

from pathlib import Path

from kadr.ingest.raw_input import RawQueries
from kadr.ingest.text_tables import normalise_texts, read_rows, require_columns

QUERIES_FILE = "test_queries.csv"
IMAGES_FILE = "test_images.csv"


def read_test_queries(source: Path) -> tuple[RawQueries, ...]:
    """The texts to find test photos by, none where there is no such file. Raises InputError."""
    path = source / QUERIES_FILE
    if not path.exists():
        return ()
    names = {"query_id": "query_id", "text": "query_text", "image_id": "image"}
    rows = read_rows(path, tuple(names.values()))
    require_columns(path, rows, names.values())
    rows = rows[list(names.values())].set_axis(list(names), axis=1)
    return (RawQueries(QUERIES_FILE, rows.assign(text=normalise_texts(rows["text"])), names, "test"),)


def read_listed(source: Path) -> dict[str, list[str]]:
    """Names of the test photos by their list, where there is one. Raises InputError."""
    path = source / IMAGES_FILE
    if not path.exists():
        return {}
    rows = read_rows(path, ("image",))
    require_columns(path, rows, ("image",))
    return {"test": sorted(set(rows["image"]) - {""})}
