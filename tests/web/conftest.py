"""A small collection of drawn photos, a searcher with encoders by hash, and the application over them."""

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
from kadr.search.query_encoding import PhotoVectors
from kadr.serve import Judging, Limits, Live, Metrics, RatingsFile, Service, create_app

WORDS = ("red", "green", "blue", "dog", "cat", "sea")
DIM = 16


def vector_of(words: str) -> Vectors:
    """Words that two texts share bring their vectors together: (1, DIM), unit norm."""
    found = np.zeros(DIM)
    for word in words.split():
        found += np.random.default_rng(int(hashlib.sha256(word.encode()).hexdigest()[:8], 16)).normal(size=DIM)
    found = found if found.any() else np.ones(DIM)
    return (found / np.linalg.norm(found)).astype(np.float32)[None]


class ByWords:
    """A text encoder that counts in `n_calls` how often it was asked."""

    n_calls = 0

    def transform(self, texts: Sequence[str]) -> Vectors:
        self.n_calls += 1
        return np.concatenate([vector_of(text) for text in texts])


class ByColour(ImageEncoder):
    """A photo encoder that knows the colours of WORDS."""

    dim = DIM

    def prepare(self, image: Image.Image) -> np.ndarray:
        return np.asarray(image.resize((1, 1)), dtype=np.float32).transpose(2, 0, 1)

    def encode(self, photos: Sequence[np.ndarray]) -> Vectors:
        return np.concatenate([vector_of(WORDS[int(photo.argmax())]) for photo in photos])


class ByCosine:
    """A relevance model that says what the cosine says."""

    def predict(self, images: Images, texts: Texts, image_rows: np.ndarray, text_rows: np.ndarray) -> np.ndarray:
        cosines = (images.vectors["clip"][image_rows] * texts.vectors["clip"][text_rows]).sum(axis=1)
        return (1 + np.asarray(cosines, dtype=np.float64).clip(-1, 1)) / 2


def photo_of(number: int) -> tuple[str, str, str]:
    """image_id, words and split of a photo."""
    colour, thing = WORDS[number % 3], WORDS[3 + number // 3 % 3]
    return (
        f"{colour} {thing} {number:03d}.jpg",
        f"{colour} {thing} number{number}",
        "test" if number % 4 == 3 else "train",
    )


def draw_index(folder: Path, n: int) -> Index:
    """An index of n photos, each of the colour that its words say."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(n):
        image_id, words, split = photo_of(number)
        size = ((160, 120), (120, 160), (240, 120))[number % 3]
        Image.new("RGB", size, words.split()[0]).save(folder / image_id)
        about = {"path": str(folder / image_id), "sha256": f"{number:064x}", "width": size[0], "height": size[1]}
        rows.append({"image_id": image_id, "split": split, "status": "ok", **about})
    vectors = np.concatenate([vector_of(photo_of(number)[1]) for number in range(n)])
    embeddings = Embeddings([row["image_id"] for row in rows], vectors, {"encoder": "clip"})
    return build_index(pa.Table.from_pylist(rows, IMAGES), {"clip": embeddings}, "clip", 1000)


def searcher_of(index: Index) -> Searcher:
    """A searcher over the index with the encoders of this module."""
    return Searcher(index, {"clip": ByWords()}, ByCosine(), 10, PhotoVectors({"clip": ByColour}))


@pytest.fixture(scope="session")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    """60 photos."""
    return draw_index(tmp_path_factory.mktemp("photos"), 60)


@pytest.fixture(scope="session")
def draw() -> Callable[[Path, int], Index]:
    """The function `draw_index`."""
    return draw_index


@pytest.fixture(scope="session")
def searcher_over() -> Callable[[Index], Searcher]:
    """The function `searcher_of`."""
    return searcher_of


@pytest.fixture
def searcher(index: Index) -> Searcher:
    """A new searcher over them."""
    return searcher_of(index)


MakeService = Callable[..., Service]


@pytest.fixture
def make_service(searcher: Searcher, tmp_path: Path) -> MakeService:
    """Make a service with these limits; its ratings go to tmp_path/ratings_long.csv."""

    def make(**limits: float) -> Service:
        ratings = RatingsFile(tmp_path / "ratings_long.csv")
        judging = Judging(ratings, tmp_path / "rate_next.csv", tmp_path / "queries.parquet")
        return Service(Live(lambda: searcher, []), judging, Limits(**limits), Metrics())

    return make


@pytest.fixture
def client(make_service: MakeService) -> Iterator[TestClient]:
    """Asks the application as this machine does."""
    with TestClient(create_app(make_service()), base_url="http://127.0.0.1") as asking:
        yield asking


@contextlib.contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """Serve the application on a free port of this machine: its address."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server ended at its start"
            time.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def serve() -> Callable[[FastAPI], contextlib.AbstractContextManager[str]]:
    """The function `serving`."""
    return serving
