"""Vectors in LanceDB, a vector database in files, on a local disk or in an object store."""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import cast

import numpy as np
import pyarrow as pa

os.environ.setdefault("LANCEDB_LOG", "error")  # before the import: by default, Lance logs each new table as a warning

import lancedb
from lancedb.index import IvfRq
from lancedb.query import LanceVectorQueryBuilder

from kadr.index.stores.vector_store import MIN_DEPTH, ImageBatch, VectorStore
from kadr.io.embeddings import Vectors

_INDEX_MIN = 10_000  # number of images from which a table has a vector index
_BITS = 4  # per dimension
_VECTOR = "vector"


class LanceDBStore(VectorStore):
    """A Lance table with the columns image_id, vector (float16) and metadata (JSON).

    The address is a folder, or the URL of an object store, such as s3://bucket/folder, with the credentials in the
    environment. The search effort is the number of lists that a search for up to 128 images probes (`nprobes`).
    """

    efforts = (4, 8, 16, 32, 64, 128, 256)
    errors = (OSError, RuntimeError, ValueError)

    @cached_property
    def _client(self) -> lancedb.Table:
        return lancedb.connect(self.address).open_table(self.collection)

    def create(self, dim: int) -> None:
        """Create the table."""
        schema = pa.schema(
            [
                pa.field("image_id", pa.string(), nullable=False),
                pa.field(_VECTOR, pa.list_(pa.float16(), dim), nullable=False),
                pa.field("metadata", pa.string()),
            ]
        )
        try:
            self._client  # noqa: B018 (opens the table)
        except ValueError:  # it does not exist
            lancedb.connect(self.address).create_table(self.collection, schema=schema)
        found = self._client.schema.field(_VECTOR).type
        self.check_dim(dim, found.list_size if isinstance(found, pa.FixedSizeListType) else None)

    def upload(self, batches: Iterable[ImageBatch]) -> None:
        """Write images to the table, in one version of the table."""
        schema = self._client.schema
        reader = pa.RecordBatchReader.from_batches(schema, (_record_batch(batch, schema) for batch in batches))
        if self.count():
            self._client.merge_insert("image_id").when_matched_update_all().when_not_matched_insert_all().execute(
                reader
            )
        else:
            self._client.add(reader)

    def delete(self, ids: Sequence[str]) -> None:
        """Delete images from the table."""
        literals = ["'" + image_id.replace("'", "''") + "'" for image_id in ids]
        self._client.delete(f"image_id IN ({', '.join(literals)})")

    def optimise(self) -> None:
        """Build inverted lists with RaBitQ codes (Gao and Long 2024) in a large table, or extend them."""
        if self._client.list_indices():
            self._client.optimize()
        elif self.count() >= _INDEX_MIN:
            self._client.create_index(_VECTOR, config=IvfRq(distance_type="cosine", num_bits=_BITS))

    def count(self) -> int:
        """Return the number of rows."""
        return int(self._client.count_rows())

    def list_ids(self) -> Iterator[str]:
        """Yield the image IDs of all rows."""
        for batch in self._client.search().select(["image_id"]).to_batches():
            yield from batch.column("image_id").to_pylist()

    def nearest(self, queries: Vectors, k: int, effort: int) -> list[list[str]]:
        """Search for one query after the other."""
        return [
            cast(LanceVectorQueryBuilder, self._client.search(query, vector_column_name=_VECTOR))
            .distance_type("cosine")
            .minimum_nprobes(effort * max(1, k // MIN_DEPTH))
            .maximum_nprobes(0)  # as many as are needed to find k images
            .limit(k)
            .select(["image_id", "_distance"])
            .to_arrow()["image_id"]
            .to_pylist()
            for query in queries
        ]

    def close(self) -> None:
        """Forget the table. The next call opens its newest version."""
        self.__dict__.pop("_client", None)


def _record_batch(batch: ImageBatch, schema: pa.Schema) -> pa.RecordBatch:
    values = pa.array(np.asarray(batch.vectors, dtype=np.float16).reshape(-1))
    vectors = pa.FixedSizeListArray.from_arrays(values, type=schema.field(_VECTOR).type)
    metadata = pa.array([json.dumps(document) for document in batch.metadata], pa.string())
    return pa.RecordBatch.from_arrays([pa.array(batch.ids, pa.string()), vectors, metadata], schema=schema)
