"""Measure the time and memory per image of `kadr scale plan` and `kadr scale index`, as a collection grows.

The benchmark creates empty image files and lists them, and writes the results of parts as `kadr scale embed` does, with
random vectors. Each measurement runs in a process of its own. `peak_mb` is the peak of the anonymous memory of the
process, which excludes memory-mapped files. The difference between the smallest and the largest collection, divided by
the number of images, is the cost of one more image. The time and the memory of the vector index depend on its kind and
the length of the vectors: see benchmarks/vector_index.py. Short vectors make them small.

    python benchmarks/scale.py --images 100000 300000 --dim 16      # about four minutes on two cores
"""

import argparse
import hashlib
import json
import multiprocessing
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from kadr.collection.part_embedding import IMAGES_NAME, PART_IMAGES, EmbeddedPart, vectors_path, write_record
from kadr.collection.part_index import index_parts
from kadr.collection.part_plan import PartPlan, plan_parts
from kadr.collection.update import make_image_id
from kadr.io.schemas import write_table

N_PARTS = 16
FILES_PER_FOLDER = 1000
ENCODER = {"encoder": "random", "weights_sha256": "0"}
SIGNATURE_BYTES = 225
COLOURS = ["blue", "white", "grey"]


def create_files(folder: Path, n_images: int) -> None:
    """Create empty files with the names of photos, in folders of FILES_PER_FOLDER files."""
    for number in range(n_images):
        path = folder / f"{2000 + number // FILES_PER_FOLDER:04d}" / f"IMG_{number:08d}.jpg"
        if number % FILES_PER_FOLDER == 0:
            path.parent.mkdir(parents=True)
        path.touch()


def write_parts(plan: PartPlan, dim: int) -> None:
    """Write the results of all parts, with random vectors and metadata of typical lengths."""
    random = np.random.default_rng(0)
    for part in plan.images:
        folder, paths = plan.part_folder(part), plan.read_files(part)["path"].tolist()
        n = len(paths)
        columns = {
            "image_id": [make_image_id(path) for path in paths],
            "path": paths,
            "sha256": [hashlib.sha256(path.encode()).hexdigest() for path in paths],
            "bytes": random.integers(50_000, 150_000, n),
            "width": [1024] * n,
            "height": [768] * n,
            "phash": [f"{value:016x}" for value in random.integers(2**62, size=n).tolist()],
            "signature": [random.bytes(SIGNATURE_BYTES) for _ in range(n)],
            "blur": random.random(n),
            "exposure": random.random(n),
            "modified": [datetime(2024, 1, 1, tzinfo=UTC).replace(tzinfo=None)] * n,
            "colours": [COLOURS] * n,
            "camera": ["Canon EOS 5D"] * n,
            "status": ["ok"] * n,
        }
        arrays = [pa.array(columns.get(field.name, [None] * n), field.type) for field in PART_IMAGES]
        write_table(
            pa.Table.from_arrays(arrays, schema=PART_IMAGES).sort_by("image_id"), folder / IMAGES_NAME, PART_IMAGES
        )
        vectors = random.standard_normal((n, dim), np.float32)
        vectors_path(folder, "clip").parent.mkdir(exist_ok=True)
        np.save(
            vectors_path(folder, "clip"), (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)
        )
        write_record(EmbeddedPart(folder, plan.manifests[part], {"clip": ENCODER}, None, {"ok": n}))


@contextmanager
def watch_memory() -> Iterator[Callable[[], float]]:
    """Yield a function that returns the peak of the anonymous memory of this process since the start, in MB."""
    peak, stop = [0.0], threading.Event()

    def watch() -> None:
        while not stop.wait(0.01):
            lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
            peak[0] = max(peak[0], next(int(line.split()[1]) / 1e3 for line in lines if line.startswith("RssAnon")))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield lambda: peak[0]
    finally:
        stop.set()
        thread.join()


def measure(work: Callable[[], object]) -> dict[str, float]:
    """Return the duration of a function in seconds, and the peak of the anonymous memory in MB."""
    with watch_memory() as peak_mb:
        start, cpu_start = time.perf_counter(), time.process_time()
        work()
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu_start
        return {"s": round(seconds, 2), "cpu_s": round(cpu, 2), "peak_mb": round(peak_mb(), 1)}


def measure_in_process(work: Callable[[], object]) -> dict[str, float]:
    """Measure a function in a new process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measure, (work,))


def count_bytes(folder: Path, pattern: str) -> int:
    """Return the total size of files in bytes."""
    return sum(path.stat().st_size for path in folder.glob(pattern))


def measure_collection(n_images: int, dim: int) -> dict[str, object]:
    """Return the time, memory and bytes of a collection in parts."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        create_files(folder / "photos", n_images)
        planning = measure_in_process(
            partial(plan_parts, [str(folder / "photos")], folder / "plan", N_PARTS, model=None)
        )
        plan = PartPlan.load(folder / "plan")
        write_parts(plan, dim)
        indexing = measure_in_process(partial(index_parts, plan, folder / "index", ["clip"], exact_max=n_images))
        version = (folder / "index").resolve()
        return {
            "images": n_images,
            "plan": planning,
            "index": indexing,
            "bytes_per_image": {
                "manifests": round(count_bytes(plan.folder, "manifests/*.parquet") / n_images, 1),
                "metadata": round(count_bytes(version, "metadata.*") / n_images, 1),
                "text_index": round(count_bytes(version, "texts.sqlite") / n_images, 1),
            },
        }


def main() -> None:
    """Measure collections of several sizes, and print the results and the cost of one more image as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs="+", default=[100_000, 300_000], help="sizes of the collections")
    parser.add_argument("--dim", type=int, default=16, help="length of a vector")
    args = parser.parse_args()
    results = [measure_collection(n_images, args.dim) for n_images in sorted(args.images)]
    for result in results:
        print(json.dumps(result), flush=True)
    first, last = results[0], results[-1]
    if last["images"] > first["images"]:
        n_more = last["images"] - first["images"]
        slopes = {
            step: {
                "cpu_us": round((last[step]["cpu_s"] - first[step]["cpu_s"]) / n_more * 1e6, 2),
                "peak_bytes": round((last[step]["peak_mb"] - first[step]["peak_mb"]) / n_more * 1e6),
            }
            for step in ("plan", "index")
        }
        print(json.dumps({"per_image": slopes}))


if __name__ == "__main__":
    main()
