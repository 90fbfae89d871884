"""Measure the memory, recall, speed and build time of the vector index for several memory budgets.

The benchmark writes vectors to a file, chunk by chunk, and builds one vector index for each memory budget. Each index
is built in a process and searched in another process, whose memory is measured. A budget of 0 is no limit: vectors in
float16. The searches of the indexes take turns, so that they run under the same conditions. The benchmark prints JSON.

Image and query vectors are those of benchmarks/search.py: queries are shifted like the text vectors of a CLIP model.

    python benchmarks/vector_index.py --size 1000000 --memory-gb 0 0.2 --folder /tmp/vectors      # 3 GB of disk
    python benchmarks/vector_index.py --size 10000000 --memory-gb 2 --folder /tmp/vectors         # 14 GB of disk
"""

import argparse
import json
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from search import N_RERANKED, SyntheticVectors, memory

from kadr.index import ImageVectors
from kadr.index.recall import exact_nearest, mean_recall
from kadr.index.vector_index import VectorIndex

N_QUERIES, N_ROUNDS = 200, 5
SAMPLING_SECONDS = 0.1


def write_vectors(path: Path, n: int) -> None:
    """Write the image vectors to a NumPy file, unless it exists."""
    if not path.exists():
        partial = path.with_suffix(".partial")
        SyntheticVectors().write_images(partial, n)
        partial.rename(path)


@contextmanager
def peak_memory() -> Iterator[dict[str, int]]:
    """Yield a dictionary that contains the peak of `memory` when the `with` block ends."""
    peak, stop = memory(), threading.Event()

    def sample() -> None:
        while not stop.wait(SAMPLING_SECONDS):
            for name, value in memory().items():
                peak[name] = max(peak[name], value)

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield peak
    finally:
        stop.set()
        thread.join()


def build(vectors_path: Path, index_path: Path, memory_gb: float, out: Connection) -> None:
    """Build and write a vector index, and send its build time and peak memory."""
    vectors = ImageVectors.map(vectors_path, {})
    texts = SyntheticVectors().texts(1000, 5)
    start = time.perf_counter()
    with peak_memory() as peak:
        index = VectorIndex.build(
            vectors, 0, texts, memory_gb=memory_gb or None, folder=index_path.with_suffix(".build")
        )
        index.write(index_path)
    seconds = round(time.perf_counter() - start, 1)
    index_path.with_suffix(".json").write_text(json.dumps(index.describe()))
    out.send({"build_s": seconds, "build_peak": peak})


def serve(vectors_path: Path, index_path: Path, commands: Connection) -> None:
    """Load a vector index, and measure a round of searches for each message until the message is None."""
    vectors, queries = ImageVectors.map(vectors_path, {}), SyntheticVectors().texts(N_QUERIES, 7)
    before = memory()
    index = VectorIndex.read(index_path, json.loads(index_path.with_suffix(".json").read_text()))
    while commands.recv() is not None:
        milliseconds, found = [], []
        cpu = time.process_time()
        for query in queries:
            start = time.perf_counter()
            found.append(index.search(query[None], N_RERANKED, vectors)[0][0])
            milliseconds.append((time.perf_counter() - start) * 1e3)
        cpu_ms = (time.process_time() - cpu) * 1e3 / len(queries)
        resident = {name: value - before[name] for name, value in memory().items()}
        commands.send((milliseconds, cpu_ms, np.stack(found), resident))


def run(target: Callable[..., None], *args: object) -> Any:
    """Run a function in another process and return the object that it sends."""
    receiver, sender = multiprocessing.Pipe()
    process = multiprocessing.Process(target=target, args=(*args, sender))
    process.start()
    sender.close()
    result = receiver.recv()
    process.join()
    return result


def measure(vectors_path: Path, paths: list[Path]) -> Iterator[dict[str, object]]:
    """Search all indexes in turns, and yield the results of each index."""
    vectors, queries = ImageVectors.map(vectors_path, {}), SyntheticVectors().texts(N_QUERIES, 7)
    rows, cosines = exact_nearest(queries, vectors, N_RERANKED)
    expected = np.take_along_axis(rows, np.argsort(-cosines, axis=1), 1)
    pipes = []
    for path in paths:
        here, there = multiprocessing.Pipe()
        multiprocessing.Process(target=serve, args=(vectors_path, path, there), daemon=True).start()
        pipes.append(here)
    rounds: list[list[Any]] = [[] for _ in paths]
    for _ in range(1 + N_ROUNDS):
        for pipe, results in zip(pipes, rounds, strict=True):
            pipe.send("search")
            results.append(pipe.recv())
    for pipe, path, results in zip(pipes, paths, rounds, strict=True):
        pipe.send(None)
        p50, p95 = np.percentile([result[0] for result in results[1:]], [50, 95])
        _, _, found, resident = results[-1]
        yield json.loads(path.with_suffix(".json").read_text()) | {
            "file_mb": round(path.stat().st_size / 1e6),
            "resident": resident,
            "recall_at_10": round(mean_recall(expected[:, :10], found[:, :10]), 4),
            f"recall_at_{N_RERANKED}": round(mean_recall(expected, found), 4),
            "p50_ms": round(float(p50), 2),
            "p95_ms": round(float(p95), 2),
            "cpu_ms": round(float(np.median([result[1] for result in results[1:]])), 2),
        }


def main() -> None:
    """Run the benchmark and print its results as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=1_000_000, help="number of vectors")
    parser.add_argument("--memory-gb", type=float, nargs="+", default=[0, 0.2], help="values of index.memory_gb")
    parser.add_argument("--folder", type=Path, required=True, help="folder for the vectors and the indexes")
    args = parser.parse_args()
    multiprocessing.set_start_method("spawn")
    vectors_path = args.folder / f"{args.size}.npy"
    write_vectors(vectors_path, args.size)
    built: dict[Path, dict[str, object]] = {}
    for memory_gb in args.memory_gb:
        path = args.folder / f"{args.size}_{memory_gb:g}.faiss"
        built[path] = run(build, vectors_path, path, memory_gb)
        print(json.dumps({"memory_gb": memory_gb, **built[path]}), flush=True)
    for path, result in zip(built, measure(vectors_path, list(built)), strict=True):
        print(json.dumps({"size": args.size, "threads": os.environ.get("OMP_NUM_THREADS"), **built[path], **result}))


if __name__ == "__main__":
    main()
