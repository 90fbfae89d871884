"""Tables of unit vectors, with the IDs of the embedded images or texts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from kadr.errors import SchemaError
from kadr.io.schemas import check_schema, embeddings_schema, read_parquet, write_table

Vectors = np.ndarray[tuple[int, int], np.dtype[np.float32]]
Rows = np.ndarray[tuple[int], np.dtype[np.int64]]


def evenly_spaced_rows(n_rows: int, n_selected: int) -> Rows:
    """Return up to `n_selected` evenly spaced row numbers from 0 to `n_rows` - 1, in ascending order."""
    return np.linspace(0, n_rows - 1, min(n_rows, n_selected)).astype(np.int64)


@dataclass(frozen=True)
class Embeddings:
    """Unit vectors of images or texts from one encoder.

    Vectors are looked up by ID, so the order of the rows does not matter.

    Attributes:
        ids: (n,) unique image IDs or text IDs.
        vectors: (n, d) float32 unit vectors, in the order of `ids`.
        metadata: name of the encoder, SHA-256 of its weights, preprocessing and precision.
    """

    ids: Sequence[str]
    vectors: Vectors
    metadata: dict[str, str]

    @property
    def dim(self) -> int:
        """Number of dimensions d of each vector."""
        return int(self.vectors.shape[1])

    @cached_property
    def _row_by_id(self) -> dict[str, int]:
        return {id_: row for row, id_ in enumerate(self.ids)}

    def rows(self, ids: Sequence[str]) -> Rows:
        """Return the row number in `vectors` of each ID: (len(ids),) int64.

        Raises:
            SchemaError: an ID has no vector.
        """
        try:
            return np.fromiter((self._row_by_id[id_] for id_ in ids), dtype=np.int64, count=len(ids))
        except KeyError as error:
            encoder = self.metadata.get("encoder", "?")
            raise SchemaError(
                f"Encoder {encoder} has no vector for ID {error.args[0]!r}. Run `dvc repro` to embed it."
            ) from error

    def select(self, ids: Sequence[str]) -> Vectors:
        """Return a copy of the vectors of the given IDs, in the same order: (len(ids), d) float32."""
        return self.vectors[self.rows(ids)]

    def write(self, path: Path) -> None:
        """Write a Parquet file with the columns id and vector. `metadata` becomes the metadata of the file."""
        flat = pa.array(np.ascontiguousarray(self.vectors, dtype=np.float32).reshape(-1), pa.float32())
        schema = embeddings_schema(self.dim)
        vector = pa.FixedSizeListArray.from_arrays(flat, type=schema.field("vector").type)
        table = pa.Table.from_arrays([pa.array(self.ids, pa.string()), vector], schema=schema)
        write_table(table.replace_schema_metadata(self.metadata), path, schema)

    @classmethod
    def read(cls, path: Path) -> "Embeddings":
        """Read an embeddings table.

        Raises:
            SchemaError: the file is missing, damaged or not an embeddings table.
        """
        table = read_parquet(path)
        vector_type = table.schema.field("vector").type if "vector" in table.schema.names else None
        if not isinstance(vector_type, pa.FixedSizeListType):
            raise SchemaError(
                f"{path}: the file is not an embeddings table, because it has no column `vector` of type "
                "fixed_size_list. Delete the file and run `dvc repro`."
            )
        check_schema(table, embeddings_schema(vector_type.list_size), str(path))
        vector = table.column("vector").combine_chunks()
        flat = vector.flatten().to_numpy(zero_copy_only=False)
        metadata = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
        return cls(table.column("id").to_pylist(), flat.reshape(len(table), vector_type.list_size), metadata)

    @classmethod
    def read_all(cls, folder: Path, encoders: Iterable[str]) -> dict[str, "Embeddings"]:
        """Read the embeddings table `<encoder>.parquet` of each encoder from a folder."""
        return {encoder: cls.read(folder / f"{encoder}.parquet") for encoder in encoders}
