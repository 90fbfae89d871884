"""Fixtures: an index of synthetic images, a searcher with deterministic encoders, and an application that uses both."""

import contextlib
import hashlib
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

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
from kadr.io.schemas import IMAGES, INDEXED_IMAGES
from kadr.io.storage import sha256
from kadr.search import Searcher
from kadr.search.query_encoding import ImageQueryEncoder
from kadr.serve import Annotation, Collections, HotReload, Limits, RatingsFile, ServerMetrics, Service, create_app
from kadr.serve.server import server_options

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

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
        Image.new("RGB", (width, height), caption.split()[0]).save(folder / image_id, comment=caption)
        row = {"path": str(folder / image_id), "sha256": sha256(folder / image_id), "width": width, "height": height}
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


def build_service(searcher: Searcher, folder: Path, **limits: float) -> Service:
    """Return a service that stores its files in a folder. The folder can contain rate_next.csv and queries.parquet."""
    ratings = RatingsFile(folder / "ratings_long.csv")
    annotation = Annotation(ratings, folder / "rate_next.csv", folder / "queries.parquet")
    collections = Collections(folder / "collections.sqlite")
    return Service(HotReload(lambda: searcher, []), annotation, Limits(**limits), ServerMetrics(), collections)


MakeService = Callable[..., Service]


@pytest.fixture
def make_service(searcher: Searcher, tmp_path: Path) -> MakeService:
    """A function that returns a service with the given limits and the ratings file tmp_path/ratings_long.csv."""

    def make(**limits: float) -> Service:
        return build_service(searcher, tmp_path, **limits)

    return make


@pytest.fixture
def client(make_service: MakeService) -> Iterator[TestClient]:
    """A test client that sends requests to the application on the loopback address."""
    with TestClient(create_app(make_service()), base_url="http://127.0.0.1") as client:
        yield client


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """Chromium. Skip the tests if it is not installed."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed; run apt-get install chromium")
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=30_000)
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])


@contextlib.contextmanager
def run_in_thread(app: FastAPI, limits: Limits | None = None) -> Iterator[str]:
    """Run an application on a free port during the `with` block, and yield its address."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, **server_options(limits or Limits())))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            time.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="session")
def serve() -> Callable[[FastAPI], contextlib.AbstractContextManager[str]]:
    """The function `run_in_thread`."""
    return run_in_thread


N_PHOTOS = 1500
_FOLDERS = ("2019/Lisbon", "2021/Winter in the mountains", "2022", "2023")
_CAMERAS = ("Canon EOS 5D", "Apple iPhone 12", None)
_LISBON = (38.72, -9.14)
_COLOURS = ("red", "green", "blue")


def _describe_photo(number: int, folder: Path) -> dict[str, object]:
    """Return the row of a photo. Photos with a higher number are older."""
    album = _FOLDERS[number % len(_FOLDERS)]
    latitude, longitude = _LISBON if album == "2019/Lisbon" else (None, None)
    width, height = SIZES[number % 3]
    return {
        "image_id": f"{album}/IMG_{number:04d}.jpg",
        "path": str(folder / album / f"IMG_{number:04d}.jpg"),
        "split": "train",
        "status": "ok",
        "sha256": f"{number:016x}" * 4,
        "bytes": 1000 * (number + 1),
        "width": width,
        "height": height,
        "taken": datetime(2024, 5, 20, 12) - timedelta(hours=6 * number),
        "taken_source": "file" if number % 10 == 0 else "exif",
        "camera": _CAMERAS[number % 3],
        "colours": [_COLOURS[number % 3]],
        "latitude": latitude,
        "longitude": longitude,
    }


@pytest.fixture(scope="session")
def photo_index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    """An index of 1,500 photos with dates, folders, cameras, colours and places. Many photos share an image file."""
    folder = tmp_path_factory.mktemp("photos")
    originals = [folder / f"{number}.jpg" for number in range(len(SIZES))]
    for size, colour, path in zip(SIZES, _COLOURS, originals, strict=True):
        Image.new("RGB", size, colour).save(path)
    rows = [_describe_photo(number, folder) for number in range(N_PHOTOS)]
    for number, row in enumerate(rows):
        path = Path(str(row["path"]))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.hardlink_to(originals[number % len(originals)])
    names = {field.name for field in INDEXED_IMAGES if field.name != "row"}
    schema = pa.schema([*(field for field in INDEXED_IMAGES if field.name in names), pa.field("status", pa.string())])
    table = pa.Table.from_pylist([{name: row.get(name) for name in schema.names} for row in rows], schema)
    vectors = np.random.default_rng(0).normal(size=(N_PHOTOS, DIM)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    embeddings = Embeddings([str(row["image_id"]) for row in rows], vectors, {"encoder": "clip"})
    return build_index(table, {"clip": embeddings}, "clip", 2 * N_PHOTOS)


@pytest.fixture(scope="session")
def photo_server(photo_index: Index, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server for the 1,500 photos, which all tests share."""
    service = build_service(build_searcher(photo_index), tmp_path_factory.mktemp("photo_server"))
    with run_in_thread(create_app(service)) as address:
        yield address


@pytest.fixture
def photo_service(photo_index: Index, tmp_path: Path) -> Service:
    """A service for the 1,500 photos that the test can change."""
    return build_service(build_searcher(photo_index), tmp_path)


OpenPhotos = Callable[..., "Page"]


@pytest.fixture
def open_photos(browser: "Browser", photo_server: str) -> Iterator[OpenPhotos]:
    """A function that opens the page of `photo_server`, or of another address, with a query string.

    The test fails if a script of the page raises an error.
    """
    errors: list[str] = []
    contexts: list[BrowserContext] = []

    def open_(query: str = "", address: str = photo_server, script: str = "", **options: object) -> "Page":
        contexts.append(browser.new_context(base_url=address, **options))  # type: ignore[arg-type]
        contexts[-1].set_default_timeout(30_000)
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        if script:
            page.add_init_script(script)
        page.goto(f"/{query}")
        return page

    yield open_
    for context in contexts:
        context.close()
    assert errors == []
