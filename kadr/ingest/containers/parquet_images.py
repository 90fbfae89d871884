"""Reader for Parquet files with a column of images, as the Hugging Face Hub and img2dataset write them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from kadr.ingest.containers.container import Sample, SetAside, find_files, part_path
from kadr.ingest.containers.sample_columns import find_sample_columns
from kadr.ingest.containers.table_samples import BATCH_ROWS, ReadBatches, read_samples


class ParquetImages:
    """Reader for Parquet files that have a column of image bytes, or of structs with the fields bytes and path."""

    layout = "Parquet files with an image column (bytes, or bytes and path), as on the Hugging Face Hub"
    priority = 2

    def recognises(self, source: Path) -> bool:
        """Return whether a Parquet file has a column of images."""
        for part in find_files(source, ".parquet"):
            try:
                if find_sample_columns(pq.read_schema(part_path(source, part))) is not None:
                    return True
            except (pa.ArrowException, OSError):
                continue
        return False

    def parts(self, source: Path) -> list[str]:
        """Return the Parquet files."""
        return find_files(source, ".parquet")

    def read(self, source: Path, part: str, max_bytes: int) -> Iterator[Sample | SetAside]:
        """Read the rows of one file. A file that is damaged or has no images is set aside.

        Raises:
            InputError: several columns fit equally well.
        """
        return read_samples(part_path(source, part), _open, max_bytes)


@contextmanager
def _open(path: Path) -> Iterator[tuple[pa.Schema, ReadBatches]]:
    with pq.ParquetFile(path) as file:
        yield file.schema_arrow, lambda columns: file.iter_batches(batch_size=BATCH_ROWS, columns=columns)
