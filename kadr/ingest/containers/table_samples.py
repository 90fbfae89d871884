"""Read the samples of one file whose rows have a column of images."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pyarrow as pa

from kadr.ingest.containers.container import Sample, SetAside
from kadr.ingest.containers.sample_columns import find_sample_columns, log_columns, row_sample

BATCH_ROWS = 64
"""Number of rows that are in memory at the same time, with their images."""

ReadBatches = Callable[[list[str]], Iterator[pa.RecordBatch]]
"""Function that takes the names of columns, and yields the rows of these columns in batches."""


def read_samples(
    path: Path, open_file: Callable[[Path], AbstractContextManager[tuple[pa.Schema, ReadBatches]]], max_bytes: int
) -> Iterator[Sample | SetAside]:
    """Read the rows of one file. A file that is damaged or has no images is set aside.

    Args:
        path: path of the file.
        open_file: function that opens a file, and returns its schema and a function that reads its rows.
        max_bytes: maximum size of an image in bytes.

    Raises:
        InputError: several columns fit equally well.
    """
    number = 0
    try:
        with open_file(path) as (schema, read_batches):
            columns = find_sample_columns(schema)
            if columns is None:
                yield SetAside(path.name, "no_image_column", ", ".join(schema.names))
                return
            log_columns(columns, schema.names)
            for batch in read_batches(columns.names):
                for row in batch.to_pylist():
                    place, name = f"{path.name}, row {number + 1}", f"{path.stem}-{number:06d}"
                    yield row_sample(row, columns, place, name, max_bytes)
                    number += 1
    except (pa.ArrowException, OSError) as error:
        yield SetAside(path.name, "file_damaged", f"after {number:,} rows: {error}")
