"""The embed part's cache: a vector per content, so that no photo or text is embedded twice by one encoder.

`<root>/<identity key>/` holds `identity.json`, for people, and Parquet shards of (key, vector). A key is the sha256
of a photo's bytes or of a text. A shard is written under a temporary name and then renamed: any number of processes may
write at once, and one that is killed loses its last shard and harms none.
"""

import hashlib
import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kadr.embeddings import Vectors
from kadr.encoders.base import Identity
from kadr.errors import CacheError

logger = logging.getLogger(__name__)

Found = npt.NDArray[np.bool_]


def cache_root() -> Path:
    """Where caches lie: $KADR_CACHE, else $XDG_CACHE_HOME/kadr, else ~/.cache/kadr."""
    own = os.environ.get("KADR_CACHE")
    return Path(own) if own else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kadr"


class EmbeddingCache:
    """The vectors of one encoder; `dim` numbers each.

    Raises:
        CacheError: where the folder cannot be written.
    """

    def __init__(self, root: Path, identity: Identity, dim: int) -> None:
        self._folder = root / identity.key
        self._dim = dim
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._replace("identity.json", json.dumps(identity.metadata, indent=2, ensure_ascii=False).encode())
        except OSError as error:
            raise CacheError(f"{self._folder}: the cache cannot be written ({error}); set KADR_CACHE") from error

    def lookup(self, keys: Sequence[str]) -> tuple[Found, Vectors]:
        """Which of `keys` are there, (n,) bool, and their vectors, (n, d) float32, zero where not found.

        A damaged shard is set aside with a warning, and what was in it counts as not found.
        """
        wanted = pa.array(keys, pa.string())
        found = np.zeros(len(keys), dtype=bool)
        vectors = np.zeros((len(keys), self._dim), dtype=np.float32)
        for shard in sorted(self._folder.glob("[!.]*.parquet")) if len(keys) else ():
            table = self._read(shard)
            if table is None:
                continue
            rows = pc.index_in(wanted, value_set=table.column("key").combine_chunks())
            here = rows.is_valid().to_numpy(zero_copy_only=False)
            flat = table.column("vector").combine_chunks().flatten().to_numpy()
            vectors[here] = flat.reshape(-1, self._dim)[rows.drop_null().to_numpy()]
            found |= here
        return found, vectors

    def append(self, keys: Sequence[str], vectors: Vectors) -> None:
        """Add a shard of n keys and their vectors (n, d). Raises CacheError where it cannot be written."""
        flat = pa.array(np.ascontiguousarray(vectors, dtype=np.float32).reshape(-1))
        table = pa.table(
            {"key": pa.array(keys, pa.string()), "vector": pa.FixedSizeListArray.from_arrays(flat, self._dim)}
        )
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
        name = hashlib.sha256("\n".join(keys).encode()).hexdigest()[:32]
        try:
            self._replace(f"{name}.parquet", sink.getvalue())
        except OSError as error:
            raise CacheError(f"{self._folder}: the cache cannot be written ({error}); set KADR_CACHE") from error

    def _replace(self, name: str, content: "bytes | pa.Buffer") -> None:
        partial = self._folder / f".{name}.{os.getpid()}.partial"
        try:
            partial.write_bytes(content)
            partial.replace(self._folder / name)
        finally:
            partial.unlink(missing_ok=True)

    def _read(self, shard: Path) -> "pa.Table | None":
        try:
            table = pq.read_table(shard, page_checksum_verification=True)
        except PermissionError as error:
            raise CacheError(f"{shard}: the cache cannot be read ({error}); set KADR_CACHE") from error
        except (pa.ArrowException, OSError) as error:
            _set_aside(shard, str(error))
            return None
        vector = pa.list_(pa.float32(), self._dim)
        if table.schema.names != ["key", "vector"] or table.schema.field("vector").type != vector:
            _set_aside(shard, f"its columns are not key and {vector}")
            return None
        return table


def _set_aside(shard: Path, reason: str) -> None:
    aside = shard.with_suffix(".damaged")
    logger.warning("%s: damaged (%s); set aside as %s, its vectors are computed anew", shard, reason, aside.name)
    try:
        shard.rename(aside)
    except FileNotFoundError:
        logger.warning("%s: another process has set it aside already", shard)
    except OSError as error:
        raise CacheError(f"{shard} is damaged and cannot be renamed ({error}); delete it") from error
