"""The library room's embeddings table in memory: unit vectors joined to their ids, never to a row order."""

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


def spread(n: int, wanted: int) -> Rows:
    """At most `wanted` of n rows, evenly spread over them, ascending."""
    return np.linspace(0, n - 1, min(n, wanted)).astype(np.int64)


@dataclass(frozen=True)
class Embeddings:
    """Unit vectors of photos or texts by one encoder.

    Attributes:
        ids: n distinct ids.
        vectors: (n, d) float32, unit norm.
        metadata: what made them: encoder, weights sha256, preprocessing, precision.
    """

    ids: Sequence[str]
    vectors: Vectors
    metadata: dict[str, str]

    @property
    def dim(self) -> int:
        """Length d of a vector."""
        return int(self.vectors.shape[1])

    @cached_property
    def _row_of(self) -> dict[str, int]:
        return {id_: row for row, id_ in enumerate(self.ids)}

    def rows(self, ids: Sequence[str]) -> Rows:
        """Row of each of `ids` in `vectors`: (len(ids),) int64. Raises SchemaError where an id has no vector."""
        try:
            return np.fromiter((self._row_of[id_] for id_ in ids), dtype=np.int64, count=len(ids))
        except KeyError as error:
            encoder = self.metadata.get("encoder", "?")
            raise SchemaError(
                f"encoder {encoder} has no vector for id {error.args[0]!r}; run `dvc repro` again"
            ) from error

    def select(self, ids: Sequence[str]) -> Vectors:
        """Vectors of `ids` in their order: (len(ids), d) float32, a copy."""
        return self.vectors[self.rows(ids)]

    def write(self, path: Path) -> None:
        """Write to Parquet: columns id and vector, `metadata` in the file's own."""
        flat = pa.array(np.ascontiguousarray(self.vectors, dtype=np.float32).reshape(-1), pa.float32())
        schema = embeddings_schema(self.dim)
        vector = pa.FixedSizeListArray.from_arrays(flat, type=schema.field("vector").type)
        table = pa.Table.from_arrays([pa.array(self.ids, pa.string()), vector], schema=schema)
        write_table(table.replace_schema_metadata(self.metadata), path, schema)

    @classmethod
    def read(cls, path: Path) -> "Embeddings":
        """Read what `write` wrote. Raises SchemaError where the file is missing or is no embeddings table."""
        table = read_parquet(path)
        kind = table.schema.field("vector").type if "vector" in table.schema.names else None
        if not isinstance(kind, pa.FixedSizeListType):
            raise SchemaError(f"{path}: no column `vector` of fixed_size_list; this is not an embeddings table")
        check_schema(table, embeddings_schema(kind.list_size), str(path))
        vector = table.column("vector").combine_chunks()
        flat = vector.flatten().to_numpy(zero_copy_only=False)
        metadata = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
        return cls(table.column("id").to_pylist(), flat.reshape(len(table), kind.list_size), metadata)

    @classmethod
    def read_all(cls, folder: Path, encoders: Iterable[str]) -> dict[str, "Embeddings"]:
        """The tables `<encoder>.parquet` of `folder`, exactly those named."""
        return {encoder: cls.read(folder / f"{encoder}.parquet") for encoder in encoders}
