"""Fixtures: an index of synthetic images, a searcher with deterministic encoders, and an application that uses both."""

import contextlib
import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import uvicorn
from fastapi import FastAPI
from PIL import Image
from starlette.testclient import TestClient

from kadr.encoders import ImageEncoder
from kadr.features import Images, Texts
from kadr.index import Index, build_index
from kadr.io.embeddings import Embeddings, Vectors
from kadr.io.schemas import IMAGES
from kadr.search import Searcher
from kadr.search.query_encoding import ImageQueryEncoder
from kadr.serve import Annotation, HotReload, Limits, RatingsFile, ServerMetrics, Service, create_app

WORDS = ("red", "green", "blue", "dog", "cat", "sea")
SIZES = ((160, 120), (120, 160), (240, 120))
DIM = 16


def text_vector(text: str) -> Vectors:
    """Return the sum of one random vector per word, scaled to unit norm: (1, DIM)."""
    vector = np.zeros(DIM)
    for word in text.split():
        vector += np.random.default_rng(int(hashlib.sha256(word.encode()).hexdigest()[:8], 16)).normal(size=DIM)
    vector = vector if vector.any() else np.ones(DIM)
    return (vector / np.linalg.norm(vector)).astype(np.float32)[None]


class WordSumEncoder:
    """Text encoder that returns `text_vector` for each text and counts its calls in `n_calls`."""

    n_calls = 0

    def transform(self, texts: Sequence[str]) -> Vectors:
        self.n_calls += 1
        return np.concatenate([text_vector(text) for text in texts])


class ColourEncoder(ImageEncoder):
    """Image encoder that returns the text vector of the dominant colour of each image."""

    dim = DIM

    def preprocess(self, image: Image.Image) -> np.ndarray:
        return np.asarray(image.resize((1, 1)), dtype=np.float32).transpose(2, 0, 1)

    def encode(self, images: Sequence[np.ndarray]) -> Vectors:
        return np.concatenate([text_vector(WORDS[int(image.argmax())]) for image in images])


class CosineModel:
    """Relevance model that maps the cosine similarity linearly to 0..1."""

    def predict(self, images: Images, texts: Texts, image_rows: np.ndarray, text_rows: np.ndarray) -> np.ndarray:
        cosines = (images.vectors["clip"][image_rows] * texts.vectors["clip"][text_rows]).sum(axis=1)
        return (1 + np.asarray(cosines, dtype=np.float64).clip(-1, 1)) / 2


def describe_image(number: int) -> tuple[str, str, str]:
    """Return the image ID, the caption and the split of a synthetic image, given its number."""
    colour, noun = WORDS[number % 3], WORDS[3 + number // 3 % 3]
    split = "test" if number % 4 == 3 else "train"
    return f"{colour} {noun} {number:03d}.jpg", f"{colour} {noun} number{number}", split


def write_index_images(folder: Path, n_images: int) -> Index:
    """Write single-colour images to a folder and return their index."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(n_images):
        image_id, caption, split = describe_image(number)
        width, height = SIZES[number % 3]
        Image.new("RGB", (width, height), caption.split()[0]).save(folder / image_id)
        row = {"path": str(folder / image_id), "sha256": f"{number:064x}", "width": width, "height": height}
        rows.append({"image_id": image_id, "split": split, "status": "ok", **row})
    vectors = np.concatenate([text_vector(describe_image(number)[1]) for number in range(n_images)])
    embeddings = Embeddings([row["image_id"] for row in rows], vectors, {"encoder": "clip"})
    return build_index(pa.Table.from_pylist(rows, IMAGES), {"clip": embeddings}, "clip", 1000)


def build_searcher(index: Index) -> Searcher:
    """Return a searcher that uses the encoders and the relevance model of this module."""
    return Searcher(index, {"clip": WordSumEncoder()}, CosineModel(), 10, ImageQueryEncoder({"clip": ColourEncoder}))


@pytest.fixture(scope="session")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    """An index of 60 images."""
    return write_index_images(tmp_path_factory.mktemp("images"), 60)


@pytest.fixture(scope="session")
def make_index() -> Callable[[Path, int], Index]:
    """The function `write_index_images`."""
    return write_index_images


@pytest.fixture(scope="session")
def make_searcher() -> Callable[[Index], Searcher]:
    """The function `build_searcher`."""
    return build_searcher


@pytest.fixture
def searcher(index: Index) -> Searcher:
    """A new searcher for the index of 60 images."""
    return build_searcher(index)


MakeService = Callable[..., Service]


@pytest.fixture
def make_service(searcher: Searcher, tmp_path: Path) -> MakeService:
    """A function that returns a service with the given limits and the ratings file tmp_path/ratings_long.csv."""

    def make(**limits: float) -> Service:
        ratings = RatingsFile(tmp_path / "ratings_long.csv")
        annotation = Annotation(ratings, tmp_path / "rate_next.csv", tmp_path / "queries.parquet")
        return Service(HotReload(lambda: searcher, []), annotation, Limits(**limits), ServerMetrics())

    return make


@pytest.fixture
def client(make_service: MakeService) -> Iterator[TestClient]:
    """A test client that sends requests to the application on the loopback address."""
    with TestClient(create_app(make_service()), base_url="http://127.0.0.1") as client:
        yield client


@contextlib.contextmanager
def run_in_thread(app: FastAPI) -> Iterator[str]:
    """Run an application on a free port during the `with` block, and yield its address."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            time.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def serve() -> Callable[[FastAPI], contextlib.AbstractContextManager[str]]:
    """The function `run_in_thread`."""
    return run_in_thread
