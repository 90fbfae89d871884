"""Write the table of images and folders that could not be indexed."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa

from kadr.collection.passed_over import PassedOver
from kadr.errors import SchemaError
from kadr.io.schemas import QUARANTINE, read_table, write_table

SET_ASIDE = "set_aside.parquet"
"""File name of the table in the folder of an index (schema QUARANTINE)."""


def set_aside_table(not_indexed: pd.DataFrame, passed_over: PassedOver) -> pa.Table:
    """Return the images that are not indexed, and the files and folders that cannot be read, with their rules.

    Args:
        not_indexed: scans of the files that are not indexed, with the columns path and status.
        passed_over: files and folders that the listing passed over.
    """
    return _to_table([*zip(not_indexed["path"], not_indexed["status"], strict=True), *passed_over.set_aside])


def vector_problems_table(images: Mapping[str, str], problems: Mapping[str, str]) -> pa.Table:
    """Return the images that exist only as vectors and are not indexed, with their rules.

    Args:
        images: image ID -> path or URI of the image.
        problems: image ID -> rule.
    """
    return _to_table([(images[image_id], rule) for image_id, rule in problems.items()])


def read_set_aside(folder: Path) -> pa.Table:
    """Read the table from the folder of an index or of a plan.

    Raises:
        SchemaError: the table does not exist or is damaged.
    """
    return read_table(folder / SET_ASIDE, QUARANTINE)


def write_set_aside(table: pa.Table, folder: Path) -> None:
    """Write the table to the folder of an index, unless the folder contains the same table."""
    try:
        is_same = read_set_aside(folder).equals(table.cast(QUARANTINE))
    except SchemaError:
        is_same = False
    if not is_same:
        write_table(table, folder / SET_ASIDE, QUARANTINE)


def _to_table(rows: Sequence[tuple[str, str]]) -> pa.Table:
    """Return a table of paths and rules in the schema QUARANTINE."""
    columns = {
        "file": pa.array([path for path, _ in rows], pa.string()),
        "rule": pa.array([rule for _, rule in rows], pa.string()),
        "kind": pa.array(["image"] * len(rows), pa.string()),
    }
    return pa.table({field.name: columns.get(field.name, pa.nulls(len(rows), field.type)) for field in QUARANTINE})
