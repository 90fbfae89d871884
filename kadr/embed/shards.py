"""Shards of the embedding cache: immutable Parquet files with the columns `key`, `status` and `vector`.

The key is the SHA-256 hash of an image file or a text. The vector is zero unless the status is `ok`. Vectors are stored
without compression or dictionary encoding, because decompressing them takes longer than reading the extra bytes.
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

Result = TypeVar("Result")

OK = "ok"
SUFFIX, DAMAGED = ".parquet", ".damaged"
ROW_GROUP = 8192  # number of rows in a row group of a Parquet file
DTYPES: dict[str, Any] = {"float32": np.float32, "float16": np.float16}


@dataclass(frozen=True)
class ShardFormat:
    """Schema of a shard.

    Attributes:
        dim: length of each vector.
        dtype: number format of the vectors: float32 or float16.
    """

    dim: int
    dtype: str

    @property
    def schema(self) -> pa.Schema:
        """Arrow schema with the columns `key`, `status` and `vector`, which contain no nulls."""
        number = pa.field("element", pa.from_numpy_dtype(DTYPES[self.dtype]), nullable=False)
        types = {"key": pa.binary(32), "status": pa.string(), "vector": pa.list_(number, self.dim)}
        return pa.schema([pa.field(name, type_, nullable=False) for name, type_ in types.items()])

    @property
    def row_bytes(self) -> int:
        """Approximate size of one row in bytes."""
        return 32 + self.dim * int(np.dtype(DTYPES[self.dtype]).itemsize)

    def round(self, vectors: Vectors) -> Vectors:
        """Round vectors (n, dim) to the precision of the shard, and return them as float32."""
        return np.asarray(vectors, dtype=DTYPES[self.dtype]).astype(np.float32)

    def to_table(self, keys: Sequence[str], statuses: Sequence[str], vectors: Vectors) -> pa.Table:
        """Convert n keys, n statuses and vectors (n, dim) to a table with the schema of the shard."""
        flat = pa.array(np.ascontiguousarray(vectors, dtype=DTYPES[self.dtype]).reshape(-1))
        vector = pa.FixedSizeListArray.from_arrays(flat, type=self.schema.field("vector").type)
        return pa.Table.from_arrays([pack_keys(keys), pa.array(statuses, pa.string()), vector], schema=self.schema)

    def to_vectors(self, rows: pa.Table) -> Vectors:
        """Return the column `vector` of a table as an array (n, dim)."""
        flat = rows.column("vector").combine_chunks().flatten().to_numpy(zero_copy_only=False)
        return flat.reshape(-1, self.dim)  # type: ignore[no-any-return]


def pack_keys(keys: Sequence[str]) -> pa.Array:
    """Convert each key from 64 hexadecimal digits to 32 bytes."""
    content = pa.py_buffer(bytes.fromhex("".join(keys)))
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(32), len(keys), [None, content])


class Shards:
    """The shards of one encoder.

    Args:
        folder: folder that contains the shards.
        shard_format: schema of the shards.
    """

    def __init__(self, folder: Folder, shard_format: ShardFormat) -> None:
        self.folder = folder
        self.format = shard_format

    def sizes(self) -> list[tuple[str, int]]:
        """Return the name and the size in bytes of each shard, oldest first."""
        with self.explain_errors("read"):
            entries = [entry for entry in self.folder.list_entries() if is_shard(entry.base_name)]
        entries.sort(key=lambda entry: (entry.mtime_ns or 0, entry.base_name))
        return [(entry.base_name, entry.size or 0) for entry in entries]

    def write(self, table: pa.Table) -> str:
        """Write a shard, and return its file name, which is a hash of the keys."""
        sink = pa.BufferOutputStream()
        options = {"compression": "none", "use_dictionary": ["status"], "write_page_checksum": True}
        pq.write_table(table, sink, row_group_size=ROW_GROUP, **options)
        name = hashlib.sha256(b"".join(table.column("key").to_pylist())).hexdigest()[:32] + SUFFIX
        with self.explain_errors("written"):
            self.folder.write(name, sink.getvalue())
        return name

    def read(self, name: str, columns: Sequence[str], groups: Sequence[int] | None = None) -> pa.Table | None:
        """Read columns of a shard. If the shard is damaged, rename it.

        Args:
            name: file name of the shard.
            columns: names of the columns to read.
            groups: indices of the row groups to read. None reads all row groups.

        Returns:
            The rows, or None if the shard is damaged.

        Raises:
            FileNotFoundError: the shard does not exist.
            CacheError: the user is not allowed to read the shard.
        """
        if groups is None:
            return self._try(name, lambda file: file.read(columns=list(columns)))
        return self._try(name, lambda file: file.read_row_groups(list(groups), columns=list(columns)))

    def find_damage(self, name: str) -> str | None:
        """Return the reason why a shard cannot be read, or None if its footer and its schema are valid."""
        try:
            with self.folder.open(name) as content:
                self._open(content)
        except FileNotFoundError:
            return None
        except (pa.ArrowException, OSError) as error:
            return str(error)
        return None

    def delete(self, name: str) -> None:
        """Delete a shard if it exists."""
        with self.explain_errors("changed"):
            self.folder.delete(name)

    def _try(self, name: str, use: Callable[[pq.ParquetFile], Result]) -> Result | None:
        """Open a shard and call `use` with the open file. If the shard is damaged, rename it and return None."""
        try:
            with self.folder.open(name) as content:
                return use(self._open(content))
        except FileNotFoundError:
            raise
        except PermissionError as error:
            raise CacheError(
                f"{self.folder}/{name} cannot be read ({error}). Change the permissions of the file, or set KADR_CACHE "
                "to another folder."
            ) from error
        except (pa.ArrowException, OSError) as error:
            self.set_aside(name, str(error))
            return None

    def _open(self, content: pa.NativeFile) -> pq.ParquetFile:
        file = pq.ParquetFile(content, page_checksum_verification=True)
        if file.schema_arrow.remove_metadata() != self.format.schema:
            raise pa.ArrowInvalid(f"unexpected columns: {_describe(file.schema_arrow)}")
        return file

    def set_aside(self, name: str, reason: str) -> None:
        """Rename a damaged shard, so that its vectors are computed again, and log a warning.

        Args:
            name: file name of the shard.
            reason: description of the damage, shown in the warning.
        """
        damaged = name.removesuffix(SUFFIX) + DAMAGED
        shard = f"{self.folder}/{name}"
        logger.warning(
            "%s is damaged (%s). The shard is renamed to %s, and its vectors will be computed again.",
            shard,
            reason,
            damaged,
        )
        try:
            self.folder.rename(name, damaged)
        except FileNotFoundError:
            logger.warning("%s has already been renamed by another process.", shard)
        except OSError as error:
            raise CacheError(f"{shard} is damaged and cannot be renamed ({error}). Delete the file.") from error

    @contextmanager
    def explain_errors(self, verb: str) -> Iterator[None]:
        """Convert an OSError of the file system to a CacheError.

        Args:
            verb: verb for the error message "the cache cannot be ...": `read`, `written` or `changed`.
        """
        try:
            yield
        except OSError as error:
            raise CacheError(
                f"{self.folder}: the cache cannot be {verb} ({error}). Set KADR_CACHE to a writable folder."
            ) from error


def is_shard(name: str) -> bool:
    """Return whether a file name belongs to a complete and undamaged shard."""
    return name.endswith(SUFFIX) and not name.startswith(".")


def _describe(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name} {field.type}" for field in schema)
