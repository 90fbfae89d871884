"""Vectors in PostgreSQL with the extension pgvector."""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from threading import Lock
from typing import Any

import psycopg
from pgvector import HalfVector
from pgvector.psycopg import register_vector
from psycopg import sql
from psycopg.types.json import Jsonb

from kadr.index.stores.vector_store import BATCH_SIZE, ImageBatch, VectorStore
from kadr.io.embeddings import Vectors
from kadr.params import StoreParams

_EF_MAX = 1000  # maximum of hnsw.ef_search
_CONNECT_TIMEOUT_S = 10


class PgvectorStore(VectorStore):
    """A PostgreSQL table with the columns image_id, vector (halfvec) and metadata (jsonb).

    The address is a connection URI such as postgresql://user@host:5432/database. libpq reads the password from the
    environment variable PGPASSWORD or from the file ~/.pgpass. The search effort is `hnsw.ef_search`.
    """

    efforts = (128, 256, 512, _EF_MAX)
    errors = (psycopg.Error,)

    def __init__(self, params: StoreParams) -> None:
        super().__init__(params)
        self._table = sql.Identifier(self.collection)
        self._lock = Lock()  # a connection runs one transaction at a time

    @cached_property
    def _client(self) -> psycopg.Connection[Any]:
        connection = psycopg.connect(self.address, autocommit=True, connect_timeout=_CONNECT_TIMEOUT_S)
        connection.execute("SET client_min_messages = warning")
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        register_vector(connection)
        return connection

    @property
    def _connection(self) -> psycopg.Connection[Any]:
        """The open connection. A connection that the server has closed is replaced."""
        if "_client" in self.__dict__ and self._client.closed:
            self.close()
        return self._client

    def _execute(self, query: str, *args: Any, **names: sql.Composable) -> psycopg.Cursor[Any]:
        """Execute a query. `{table}` stands for the table."""
        return self._connection.execute(sql.SQL(query).format(table=self._table, **names), args)

    def create(self, dim: int) -> None:
        """Create the table."""
        self._execute(
            "CREATE TABLE IF NOT EXISTS {table} "
            "(image_id text PRIMARY KEY, vector halfvec({dim}) NOT NULL, metadata jsonb)",
            dim=sql.Literal(dim),
        )
        row = self._execute(
            "SELECT atttypmod FROM pg_attribute WHERE attrelid = %s::regclass AND attname = 'vector'",
            self._table.as_string(self._connection),
        ).fetchone()
        self.check_dim(dim, row[0] if row else None)

    def upload(self, batches: Iterable[ImageBatch]) -> None:
        """Copy images to the table, in one transaction per batch."""
        for batch in batches:
            with self._connection.transaction():
                self._execute("CREATE TEMPORARY TABLE incoming (LIKE {table}) ON COMMIT DROP")
                with self._connection.cursor().copy("COPY incoming FROM STDIN WITH (FORMAT BINARY)") as copy:
                    copy.set_types(["text", "halfvec", "jsonb"])
                    for image_id, vector, document in zip(batch.ids, batch.vectors, batch.metadata, strict=True):
                        copy.write_row((image_id, HalfVector(vector), Jsonb(document)))
                self._execute(
                    "INSERT INTO {table} SELECT * FROM incoming ON CONFLICT (image_id) DO UPDATE "
                    "SET vector = EXCLUDED.vector, metadata = EXCLUDED.metadata"
                )

    def delete(self, ids: Sequence[str]) -> None:
        """Delete images from the table."""
        self._execute("DELETE FROM {table} WHERE image_id = ANY(%s)", list(ids))

    def optimise(self) -> None:
        """Build the HNSW graph, unless it exists, and update the statistics of the query planner."""
        self._execute(
            "CREATE INDEX IF NOT EXISTS {index} ON {table} USING hnsw (vector halfvec_ip_ops)",
            index=sql.Identifier(f"{self.collection}_hnsw"),
        )
        self._execute("ANALYZE {table}")

    def count(self) -> int:
        """Return the number of rows."""
        return int(self._execute("SELECT count(*) FROM {table}").fetchone()[0])  # type: ignore[index]

    def list_ids(self) -> Iterator[str]:
        """Yield the image IDs of all rows."""
        with self._connection.transaction(), self._connection.cursor(name="image_ids") as cursor:
            cursor.itersize = 100 * BATCH_SIZE
            cursor.execute(sql.SQL("SELECT image_id FROM {}").format(self._table))
            for (image_id,) in cursor:
                yield image_id

    def nearest(self, queries: Vectors, k: int, effort: int) -> list[list[str]]:
        """Search for one query after the other. Iterative scans find more than `hnsw.ef_search` images."""
        settings = {
            "hnsw.ef_search": min(_EF_MAX, max(effort, k)),
            "hnsw.iterative_scan": "relaxed_order",
            "hnsw.max_scan_tuples": max(20_000, 4 * k),
        }
        calls = sql.SQL(", ").join(
            sql.SQL("set_config({}, {}, true)").format(sql.Literal(name), sql.Literal(str(value)))
            for name, value in settings.items()
        )
        with self._lock, self._connection.transaction():
            self._connection.execute(sql.SQL("SELECT {}").format(calls))
            return [
                [
                    image_id
                    for (image_id,) in self._execute(
                        "SELECT image_id FROM {table} ORDER BY vector <#> %s LIMIT {k}",
                        HalfVector(query),
                        k=sql.Literal(k),  # with a parameter, a cached plan may scan the whole table
                    )
                ]
                for query in queries
            ]
