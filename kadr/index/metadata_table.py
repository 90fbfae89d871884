"""The table of image metadata of an index. Its file is memory-mapped, so that only columns in use are in memory."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from kadr.io.schemas import INDEXED_IMAGES, add_missing_columns, check_schema, read_parquet
from kadr.io.storage import write_atomically

TABLE = "metadata.arrow"
"""File name of the table of image metadata."""

OLDER_TABLE = "metadata.parquet"
"""File name of the table in an index of an older version of kadr."""


def write_metadata(table: pa.Table, folder: Path) -> None:
    """Write the table of an index in the schema INDEXED_IMAGES, unless the folder contains the same table.

    The columns are written without chunks, unless they have more than 2 GiB of strings. Rows of a column with chunks
    are not taken one by one: Arrow then copies the column.

    Raises:
        OSError: the file cannot be written.
    """
    path = folder / TABLE
    check_schema(table, INDEXED_IMAGES, str(path))
    if _contains(path, table):
        return
    with (
        write_atomically(path) as partial,
        pa.OSFile(str(partial), "wb") as file,
        pa.ipc.new_file(file, table.schema) as writer,
    ):
        writer.write_table(table.combine_chunks())


def read_metadata(folder: Path) -> tuple[pa.Table, frozenset[str]]:
    """Memory-map the table of an index, or read the table of an index of an older version.

    Returns:
        The table in the schema INDEXED_IMAGES, and the columns that the file lacks. They are null in the table.

    Raises:
        SchemaError: the file has other columns, or is damaged.
        OSError: the file is missing or damaged.
        ArrowInvalid: the file is damaged.
    """
    path = folder / TABLE
    table = _map_table(path) if path.exists() else read_parquet(folder / OLDER_TABLE)
    complete = add_missing_columns(table, INDEXED_IMAGES)
    check_schema(complete, INDEXED_IMAGES, str(path))
    return complete.combine_chunks(), frozenset(INDEXED_IMAGES.names).difference(table.column_names)


def read_columns(folder: Path, columns: Sequence[str]) -> pa.Table:
    """Read columns of the table of an index, also of an index that cannot be loaded.

    Raises:
        OSError: the file is missing or damaged.
        KeyError: the table lacks a column.
        ArrowInvalid: the file is damaged.
    """
    path = folder / TABLE
    if path.exists():
        table = _map_table(path).select(list(columns))
        table.validate(full=True)  # the checksum of the file may be unknown
        return table
    return pq.read_table(folder / OLDER_TABLE, columns=list(columns)).combine_chunks()


def _contains(path: Path, table: pa.Table) -> bool:
    try:
        return path.exists() and bool(_map_table(path).equals(table))
    except (OSError, pa.ArrowInvalid):  # the file is damaged
        return False


def _map_table(path: Path) -> pa.Table:
    with pa.memory_map(str(path)) as file:
        return pa.ipc.open_file(file).read_all()
