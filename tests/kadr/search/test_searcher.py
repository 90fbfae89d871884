"""Search: the order by cosine and by relevance, its refusals, the check of encoders, and the picture."""

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
from kadr.search import Match, Searcher, draw_grid, load_searcher
from kadr.search.searcher_loading import check_same_encoder

NAMES = ["a", "b", "c", "d", "e"]
ANGLES = np.radians([0, 20, 40, 60, 80])


class AlwaysEast:
    """A text encoder for which every text lies at angle 0."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def transform(self, texts: Sequence[str]) -> Vectors:
        self.seen += texts
        return np.tile(np.array([[1, 0]], dtype=np.float32), (len(texts), 1))


class ByName:
    """A relevance model that gives each photo what a table says."""

    def __init__(self, relevance: dict[str, float]) -> None:
        self.relevance = relevance

    def predict(self, images: Images, texts: Texts, image_rows: Rows, text_rows: Rows) -> np.ndarray:
        assert texts.texts == ["a dog"]
        assert images.vectors["clip"].shape == (len(images.ids), 2)
        assert text_rows.tolist() == [0] * len(image_rows)
        return np.array([self.relevance[images.ids[row]] for row in image_rows])


@pytest.fixture
def index() -> Index:
    others = {"split": "test", "status": "ok"}
    table = pa.Table.from_pylist([{"image_id": n, "path": f"photos/{n}.jpg", **others} for n in NAMES], IMAGES)
    vectors = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1).astype(np.float32)
    metadata = {"encoder": "clip", "architecture": "tiny", "weights_sha256": "00ff"}
    return build_index(table, {"clip": Embeddings(NAMES, vectors, metadata)}, "clip", 100)


def ids(matches: Sequence[Match]) -> list[str]:
    return [match.image_id for match in matches]


def test_without_a_model_by_cosine(index: Index) -> None:
    matches = Searcher(index, {"clip": AlwaysEast()}, None, 0).search("a dog", 3)
    assert ids(matches) == ["a", "b", "c"]
    assert matches[1].score == pytest.approx(np.cos(ANGLES[1]), abs=1e-3)
    assert matches[1].path == "photos/b.jpg"
    assert matches[1].relevance is None


def test_the_first_are_reordered_and_the_rest_follows(index: Index) -> None:
    model = ByName({"a": 0.1, "b": 0.9, "c": 0.5})
    matches = Searcher(index, {"clip": AlwaysEast()}, model, 3).search("a dog", 5)
    assert ids(matches) == ["b", "c", "a", "d", "e"]
    assert [match.relevance for match in matches] == [0.9, 0.5, 0.1, None, None]
    assert matches[0].score == pytest.approx(np.cos(ANGLES[1]), abs=1e-3)


def test_a_relevant_photo_beyond_k_is_found_within_rerank(index: Index) -> None:
    model = ByName(dict.fromkeys("abcd", 0.2) | {"e": 0.8})
    assert ids(Searcher(index, {"clip": AlwaysEast()}, model, 100).search("a dog", 2)) == ["e", "a"]


def test_the_text_is_normalised_as_stored_texts_are(index: Index) -> None:
    encoder = AlwaysEast()
    Searcher(index, {"clip": encoder}, None, 0).search("  a \n dog ", 1)
    assert encoder.seen == ["a dog"]


@pytest.mark.parametrize(("text", "k", "said"), [("", 5, "empty"), (" \n", 5, "empty"), ("a dog", 0, "k is 0")])
def test_queries_that_make_no_sense(index: Index, text: str, k: int, said: str) -> None:
    with pytest.raises(SearchError, match=said):
        Searcher(index, {"clip": AlwaysEast()}, None, 0).search(text, k)


def test_other_weights_are_refused(index: Index) -> None:
    check_same_encoder(index, {"architecture": "tiny", "weights_sha256": "00ff", "precision": "bf16"})
    with pytest.raises(SearchError, match=r"another weights_sha256 \(1234\) than the photos of the index \(00ff\)"):
        check_same_encoder(index, {"architecture": "tiny", "weights_sha256": "1234"})
    same = {"architecture": "tiny", "weights_sha256": "00ff", "preprocessing": "crop"}
    check_same_encoder(index, same)
    with pytest.raises(SearchError, match=r"another preprocessing \(crop\) than"):
        check_same_encoder(index, same, "clip", "the photo")


def test_no_index(tmp_path: Path) -> None:
    with pytest.raises(SearchError, match="there is no index"):
        load_searcher(tmp_path / "index", tmp_path, sample_params(), tmp_path)


def test_an_encoder_that_params_do_not_have(tmp_path: Path, index: Index) -> None:
    index.write(tmp_path)
    params = sample_params()
    encoders = {name: spec for name, spec in params.embed_texts.encoders.items() if name != "clip"}
    params = params.model_copy(update={"embed_texts": params.embed_texts.model_copy(update={"encoders": encoders})})
    with pytest.raises(SearchError, match=r"embedded by encoder 'clip', but embed_texts\.encoders .* has only sbert"):
        load_searcher(tmp_path, tmp_path, params, tmp_path)


def sample_params() -> Params:
    return load_params(Path(__file__).parents[3] / "params.yaml")


@pytest.fixture
def red_and_blue(tmp_path: Path) -> list[Match]:
    Image.new("RGB", (400, 200), "red").save(tmp_path / "red.png")
    Image.new("L", (20, 60), 128).save(tmp_path / "grey.png")
    return [Match("red", str(tmp_path / "red.png"), 0.5, 0.9), Match("grey", str(tmp_path / "grey.png"), 0.4, None)]


def test_a_grid_shows_each_photo_in_its_place(red_and_blue: list[Match]) -> None:
    grid = draw_grid("a red ball " * 30, red_and_blue)
    assert grid.width == 2 * (240 + 16) + 16
    colours = {colour for _, colour in grid.getcolors(maxcolors=1 << 20) or []}
    assert {(255, 0, 0), (128, 128, 128)} <= colours
    assert grid.getpixel((16 + 120, 48 + 16 + 239)) == (255, 0, 0)
    assert grid.getpixel((16 + 240 + 16 + 120, 48 + 16 + 239)) == (128, 128, 128)
    assert grid.tobytes() == draw_grid("a red ball " * 30, red_and_blue).tobytes()


def test_a_grid_of_more_than_a_row(red_and_blue: list[Match]) -> None:
    one, seven = draw_grid("", red_and_blue[:1]), draw_grid("", red_and_blue[:1] * 7)
    assert seven.height - one.height == 240 + 44 + 16
    assert seven.width == 5 * (240 + 16) + 16


def test_a_thumbnail_is_upright_and_small(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    Image.new("RGB", (80, 40), "red").save(tmp_path / "turned.jpg", exif=exif)
    assert open_thumbnail(tmp_path / "turned.jpg", 20).size == (10, 20)


def test_a_lost_photo_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.jpg: cannot show the photo"):
        open_thumbnail(tmp_path / "gone.jpg", 20)
    (tmp_path / "text.jpg").write_text("no photo")
    with pytest.raises(InputError, match=r"text\.jpg: cannot show the photo"):
        open_thumbnail(tmp_path / "text.jpg", 20)
