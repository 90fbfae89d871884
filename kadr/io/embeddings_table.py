"""Vectors in an embeddings table on a disk, which are read in chunks."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kadr.io.embeddings import CHUNK_SIZE, FloatVectors, Rows, VectorSource, check_vector_column
from kadr.io.mapped_arrays import release_pages
from kadr.io.schemas import check_schema, damaged_table, embeddings_schema, missing_table

_BUFFER_SIZE = 1 << 20  # number of bytes that are read at once; otherwise, a row group is read as a whole


@dataclass(frozen=True)
class EmbeddingsTable(VectorSource):
    """A table that `Embeddings.write` wrote.

    Attributes:
        ids: (n,) image IDs or text IDs, as an Arrow array.
        metadata: name of the encoder, SHA-256 of its weights, preprocessing and precision.
        path: path of the Parquet file.
        length: number of dimensions of each vector.
    """

    ids: Sequence[str]
    metadata: dict[str, str]
    path: Path
    length: int

    @classmethod
    def open(cls, path: Path) -> "EmbeddingsTable":
        """Open an embeddings table, and read its IDs.

        Raises:
            SchemaError: the file is missing, damaged or not an embeddings table.
        """
        try:
            file = pq.ParquetFile(path, page_checksum_verification=True)
            dim = check_vector_column(file.schema_arrow, path)
            check_schema(file.schema_arrow.empty_table(), embeddings_schema(dim), str(path))
            ids = file.read(columns=["id"]).column("id").combine_chunks()
        except FileNotFoundError as error:
            raise missing_table(path) from error
        except (pa.ArrowException, OSError) as error:
            raise damaged_table(path, error) from error
        metadata = {key.decode(): value.decode() for key, value in (file.schema_arrow.metadata or {}).items()}
        return cls(ids, metadata, path, dim)

    @classmethod
    def open_all(cls, folder: Path, encoders: Iterable[str]) -> "dict[str, EmbeddingsTable]":
        """Open the embeddings table `<encoder>.parquet` of each encoder in a folder."""
        return {encoder: cls.open(folder / f"{encoder}.parquet") for encoder in encoders}

    @property
    def dim(self) -> int:
        """Number of dimensions d of each vector."""
        return self.length

    def copy(self, rows: Rows, out: FloatVectors, targets: Rows) -> None:
        """Copy vectors to rows of an array, in the order of the table.

        Raises:
            SchemaError: the file is damaged.
        """
        order = np.argsort(rows, kind="stable")
        rows, targets = rows[order], targets[order]
        start = 0
        try:
            file = pq.ParquetFile(self.path, page_checksum_verification=True, buffer_size=_BUFFER_SIZE)
            for batch in file.iter_batches(CHUNK_SIZE, columns=["vector"]):
                first, last = np.searchsorted(rows, [start, start + len(batch)])
                vectors = batch.column("vector").flatten().to_numpy().reshape(len(batch), self.dim)
                out[targets[first:last]] = vectors[rows[first:last] - start]
                release_pages(out)
                start += len(batch)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise damaged_table(self.path, error) from error
