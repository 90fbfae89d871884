"""Tests of the searcher: ranking, errors, encoder identity, and the grid image."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from kadr.errors import InputError, SearchError
from kadr.features import Images, Texts
from kadr.index import Index, build_index
from kadr.io.embeddings import Embeddings, Rows, Vectors
from kadr.io.schemas import IMAGES
from kadr.io.thumbnails import open_thumbnail
from kadr.params import Params, load_params
from kadr.project import Artifacts
from kadr.search import Match, Searcher, draw_grid, load_searcher
from kadr.search.encoder_check import check_same_encoder

NAMES = ["a", "b", "c", "d", "e"]
ANGLES = np.radians([0, 20, 40, 60, 80])


class AlwaysEast:
    """A text encoder that returns the same vector for every text."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def transform(self, texts: Sequence[str]) -> Vectors:
        self.seen += texts
        return np.tile(np.array([[1, 0]], dtype=np.float32), (len(texts), 1))


class ByName:
    """A relevance model whose prediction depends on the image ID alone."""

    def __init__(self, relevance: dict[str, float]) -> None:
        self.relevance = relevance

    def predict(self, images: Images, texts: Texts, image_rows: Rows, text_rows: Rows) -> np.ndarray:
        assert texts.texts == ["a dog"]
        assert images.vectors["clip"].shape == (len(images.ids), 2)
        assert text_rows.tolist() == [0] * len(image_rows)
        return np.array([self.relevance[images.ids[row]] for row in image_rows])


@pytest.fixture
def index() -> Index:
    columns = {"split": "test", "status": "ok"}
    table = pa.Table.from_pylist([{"image_id": n, "path": f"photos/{n}.jpg", **columns} for n in NAMES], IMAGES)
    vectors = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1).astype(np.float32)
    metadata = {"encoder": "clip", "architecture": "tiny", "weights_sha256": "00ff"}
    return build_index(table, {"clip": Embeddings(NAMES, vectors, metadata)}, "clip", 100)


def ids(matches: Sequence[Match]) -> list[str]:
    return [match.image_id for match in matches]


def test_results_without_a_model_are_sorted_by_cosine(index: Index) -> None:
    matches = Searcher(index, {"clip": AlwaysEast()}, None, 0).search("a dog", 3)
    assert ids(matches) == ["a", "b", "c"]
    assert matches[1].score == pytest.approx(np.cos(ANGLES[1]), abs=1e-3)
    assert matches[1].path == "photos/b.jpg"
    assert matches[1].relevance is None


def test_the_nearest_images_are_reranked(index: Index) -> None:
    model = ByName({"a": 0.1, "b": 0.9, "c": 0.5})
    matches = Searcher(index, {"clip": AlwaysEast()}, model, 3).search("a dog", 5)
    assert ids(matches) == ["b", "c", "a", "d", "e"]
    assert [match.relevance for match in matches] == [0.9, 0.5, 0.1, None, None]
    assert matches[0].score == pytest.approx(np.cos(ANGLES[1]), abs=1e-3)


def test_reranking_considers_more_than_k_images(index: Index) -> None:
    model = ByName(dict.fromkeys("abcd", 0.2) | {"e": 0.8})
    assert ids(Searcher(index, {"clip": AlwaysEast()}, model, 100).search("a dog", 2)) == ["e", "a"]


def test_query_texts_are_normalised(index: Index) -> None:
    encoder = AlwaysEast()
    Searcher(index, {"clip": encoder}, None, 0).search("  a \n dog ", 1)
    assert encoder.seen == ["a dog"]


@pytest.mark.parametrize(("text", "k", "message"), [("", 5, "empty"), (" \n", 5, "empty"), ("a dog", 0, "k is 0")])
def test_invalid_queries_are_errors(index: Index, text: str, k: int, message: str) -> None:
    with pytest.raises(SearchError, match=message):
        Searcher(index, {"clip": AlwaysEast()}, None, 0).search(text, k)


def test_an_encoder_with_other_weights_is_an_error(index: Index) -> None:
    check_same_encoder(index, {"architecture": "tiny", "weights_sha256": "00ff", "precision": "bf16"})
    with pytest.raises(SearchError, match=r"with weights_sha256 1234, but the index has 00ff"):
        check_same_encoder(index, {"architecture": "tiny", "weights_sha256": "1234"})
    same = {"architecture": "tiny", "weights_sha256": "00ff", "preprocessing": "crop"}
    check_same_encoder(index, same)
    with pytest.raises(SearchError, match=r"with preprocessing crop, but the index has unknown"):
        check_same_encoder(index, same, "clip", "the query image")


def test_a_missing_index_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SearchError, match="the index does not exist"):
        load_searcher(artifacts(tmp_path / "index"), sample_params())


def test_an_index_of_an_unknown_encoder_is_an_error(tmp_path: Path, index: Index) -> None:
    index.write(tmp_path)
    params = sample_params()
    encoders = {name: spec for name, spec in params.embed_texts.encoders.items() if name != "clip"}
    params = params.model_copy(update={"embed_texts": params.embed_texts.model_copy(update={"encoders": encoders})})
    with pytest.raises(SearchError, match=r"encoder 'clip', but embed_texts\.encoders in params\.yaml has only sbert"):
        load_searcher(artifacts(tmp_path), params)


def artifacts(index: Path) -> Artifacts:
    folder = index.parent
    return Artifacts(index, folder, folder, folder, folder / "params.yaml")


def sample_params() -> Params:
    return load_params(Path(__file__).parents[3] / "params.yaml")


@pytest.fixture
def red_and_blue(tmp_path: Path) -> list[Match]:
    Image.new("RGB", (400, 200), "red").save(tmp_path / "red.png")
    Image.new("L", (20, 60), 128).save(tmp_path / "grey.png")
    return [Match("red", str(tmp_path / "red.png"), 0.5, 0.9), Match("grey", str(tmp_path / "grey.png"), 0.4, None)]


def test_a_grid_contains_each_image(red_and_blue: list[Match]) -> None:
    grid = draw_grid("a red ball " * 30, red_and_blue)
    assert grid.width == 2 * (240 + 16) + 16
    colours = {colour for _, colour in grid.getcolors(maxcolors=1 << 20) or []}
    assert {(255, 0, 0), (128, 128, 128)} <= colours
    assert grid.getpixel((16 + 120, 48 + 16 + 239)) == (255, 0, 0)
    assert grid.getpixel((16 + 240 + 16 + 120, 48 + 16 + 239)) == (128, 128, 128)
    assert grid.tobytes() == draw_grid("a red ball " * 30, red_and_blue).tobytes()


def test_a_grid_has_five_columns(red_and_blue: list[Match]) -> None:
    one, seven = draw_grid("", red_and_blue[:1]), draw_grid("", red_and_blue[:1] * 7)
    assert seven.height - one.height == 240 + 44 + 16
    assert seven.width == 5 * (240 + 16) + 16


def test_a_thumbnail_is_upright_and_small(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # rotated by 90 degrees
    Image.new("RGB", (80, 40), "red").save(tmp_path / "turned.jpg", exif=exif)
    assert open_thumbnail(tmp_path / "turned.jpg", 20).size == (10, 20)


def test_a_thumbnail_of_a_missing_or_damaged_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.jpg: the image cannot be read"):
        open_thumbnail(tmp_path / "gone.jpg", 20)
    (tmp_path / "text.jpg").write_text("text")
    with pytest.raises(InputError, match=r"text\.jpg: the file is not an image"):
        open_thumbnail(tmp_path / "text.jpg", 20)
