"""The embed part's shards: Parquet files of (key, status, vector) in a folder, written whole and never changed.

A key is the sha256 of a photo's bytes or of a text; a vector is zero where the status is not `ok`. Vectors are neither
compressed nor held in a dictionary: both cost more time to read than they save in bytes.
"""

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kadr.errors import CacheError
from kadr.io.embeddings import Vectors
from kadr.io.storage import Folder

logger = logging.getLogger(__name__)

T = TypeVar("T")

OK = "ok"
SUFFIX, DAMAGED = ".parquet", ".damaged"
ROW_GROUP = 8192  # rows that are read at once
DTYPES: dict[str, Any] = {"float32": np.float32, "float16": np.float16}


@dataclass(frozen=True)
class Format:
    """What the rows look like: vectors of `dim` numbers of the type `dtype` (float32 or float16)."""

    dim: int
    dtype: str

    @property
    def schema(self) -> pa.Schema:
        """Columns key, status and vector; none has nulls."""
        number = pa.field("element", pa.from_numpy_dtype(DTYPES[self.dtype]), nullable=False)
        kinds = {"key": pa.binary(32), "status": pa.string(), "vector": pa.list_(number, self.dim)}
        return pa.schema([pa.field(name, kind, nullable=False) for name, kind in kinds.items()])

    @property
    def row_bytes(self) -> int:
        """Bytes of a row, about."""
        return 32 + self.dim * int(np.dtype(DTYPES[self.dtype]).itemsize)

    def rounded(self, vectors: Vectors) -> Vectors:
        """Vectors as they come back from a shard: (n, dim) float32, with the digits that `dtype` keeps."""
        return np.asarray(vectors, dtype=DTYPES[self.dtype]).astype(np.float32)

    def table(self, keys: Sequence[str], statuses: Sequence[str], vectors: Vectors) -> pa.Table:
        """Rows of n keys, n statuses and vectors (n, dim)."""
        flat = pa.array(np.ascontiguousarray(vectors, dtype=DTYPES[self.dtype]).reshape(-1))
        vector = pa.FixedSizeListArray.from_arrays(flat, type=self.schema.field("vector").type)
        return pa.Table.from_arrays([pack(keys), pa.array(statuses, pa.string()), vector], schema=self.schema)

    def vectors(self, rows: pa.Table) -> Vectors:
        """The column vector as (n, dim)."""
        flat = rows.column("vector").combine_chunks().flatten().to_numpy(zero_copy_only=False)
        return flat.reshape(-1, self.dim)  # type: ignore[no-any-return]


def pack(keys: Sequence[str]) -> pa.Array:
    """Keys of 64 hexadecimal digits as an array of 32 bytes each."""
    content = pa.py_buffer(bytes.fromhex("".join(keys)))
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(32), len(keys), [None, content])


class Shards:
    """The shards of one encoder in `folder`."""

    def __init__(self, folder: Folder, rows: Format) -> None:
        self.folder = folder
        self.format = rows

    def sizes(self) -> list[tuple[str, int]]:
        """Names and bytes of the shards, the oldest first: what was embedded together lies together."""
        with self.working("read"):
            found = [entry for entry in self.folder.entries() if is_shard(entry.base_name)]
        found.sort(key=lambda entry: (entry.mtime_ns or 0, entry.base_name))
        return [(entry.base_name, entry.size or 0) for entry in found]

    def write(self, table: pa.Table) -> str:
        """Write rows as a shard and return its name, which the keys give: the same rows are the same file."""
        sink = pa.BufferOutputStream()
        options = {"compression": "none", "use_dictionary": ["status"], "write_page_checksum": True}
        pq.write_table(table, sink, row_group_size=ROW_GROUP, **options)
        name = hashlib.sha256(b"".join(table.column("key").to_pylist())).hexdigest()[:32] + SUFFIX
        with self.working("written"):
            self.folder.write(name, sink.getvalue())
        return name

    def read(self, name: str, columns: Sequence[str], groups: Sequence[int] | None = None) -> pa.Table | None:
        """Columns of a shard, of some row groups or all; None where it is damaged (it is set aside then).

        Raises:
            FileNotFoundError: where it is gone.
        """
        if groups is None:
            return self._try(name, lambda file: file.read(columns=list(columns)))
        return self._try(name, lambda file: file.read_row_groups(list(groups), columns=list(columns)))

    def damage(self, name: str) -> str | None:
        """Why a shard cannot be read, by its columns and its end alone; None where it looks whole. Changes nothing."""
        try:
            with self.folder.open(name) as content:
                self._opened(content)
        except FileNotFoundError:
            return None
        except (pa.ArrowException, OSError) as error:
            return str(error)
        return None

    def delete(self, name: str) -> None:
        """Delete a shard; nothing where it is gone already."""
        with self.working("changed"):
            self.folder.delete(name)

    def _try(self, name: str, use: Callable[[pq.ParquetFile], T]) -> T | None:
        """What `use` makes of a shard whose columns are checked; None where it is damaged."""
        try:
            with self.folder.open(name) as content:
                return use(self._opened(content))
        except FileNotFoundError:
            raise
        except PermissionError as error:
            raise CacheError(f"{self.folder}/{name}: cannot be read ({error}); set KADR_CACHE") from error
        except (pa.ArrowException, OSError) as error:
            self.set_aside(name, str(error))
            return None

    def _opened(self, content: pa.NativeFile) -> pq.ParquetFile:
        file = pq.ParquetFile(content, page_checksum_verification=True)
        if file.schema_arrow.remove_metadata() != self.format.schema:
            raise pa.ArrowInvalid(f"its columns are {_kinds(file.schema_arrow)}")
        return file

    def set_aside(self, name: str, reason: str) -> None:
        """Rename a damaged shard, with a warning: it is no shard then, and what was in it is computed anew."""
        aside = name.removesuffix(SUFFIX) + DAMAGED
        shard = f"{self.folder}/{name}"
        logger.warning("%s: damaged (%s); set aside as %s, its vectors are computed anew", shard, reason, aside)
        try:
            self.folder.rename(name, aside)
        except FileNotFoundError:
            logger.warning("%s: another process has set it aside already", shard)
        except OSError as error:
            raise CacheError(f"{shard} is damaged and cannot be renamed ({error}); delete it") from error

    @contextmanager
    def working(self, what: str) -> Iterator[None]:
        """Turn what a file system raises into a CacheError."""
        try:
            yield
        except OSError as error:
            raise CacheError(f"{self.folder}: the cache cannot be {what} ({error}); set KADR_CACHE") from error


def is_shard(name: str) -> bool:
    """Whether a file's name is that of a shard: neither hidden nor set aside."""
    return name.endswith(SUFFIX) and not name.startswith(".")


def _kinds(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name} {field.type}" for field in schema)
