"""Tests of weighted terms, filters, near-duplicates and recommendations."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from threadpoolctl import threadpool_info, threadpool_limits

from kadr.errors import InputError, SearchError
from kadr.features import Images, Texts
from kadr.index import Index, build_index
from kadr.io.embeddings import Embeddings, Rows, Vectors
from kadr.io.image_signature import SIGNATURE_BYTES
from kadr.io.schemas import INDEXED_IMAGES
from kadr.search import Filters, Match, Query, Searcher, Term, parse_query, query_encoding, results
from kadr.search.query_encoding import ImageQueryEncoder, TextQueryEncoder
from kadr.search.results import select_diverse

ANGLES = {"east": 0, "north": 90, "west": 180, "northeast": 45}


class Compass:
    """An encoder that returns a direction in the plane, given by a text or by the brightness of an image in degrees."""

    shorter_side = None

    def __init__(self) -> None:
        self.seen: list[str] = []

    def transform(self, content: list) -> Vectors:
        self.seen += [item for item in content if isinstance(item, str)]
        degrees = [ANGLES[item] if isinstance(item, str) else item.getpixel((0, 0))[0] for item in content]
        return directions(degrees)


class ByText:
    """A relevance model whose prediction depends on the text alone."""

    def predict(self, images: Images, texts: Texts, image_rows: Rows, text_rows: Rows) -> np.ndarray:
        table = {"east": 0.8, "north": 0.5}
        return np.array([table[texts.texts[row]] for row in text_rows])


def directions(degrees: list[float]) -> Vectors:
    radians = np.radians(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


ROWS = [  # image_id, degrees, path, taken, modified, width, height, phash, colours
    ("a", 0, "/photos/2023/snow/a.jpg", datetime(2023, 1, 5), None, 100, 80, "0000000000000000", ["white", "blue"]),
    ("b", 10, "/photos/2023/b.jpg", None, datetime(2023, 6, 1), 4000, 3000, "000000000000000f", ["green"]),
    ("c", 60, "/photos/2024/snow/c.jpg", datetime(2024, 2, 2), None, 3000, 4000, "ffff000000000000", []),
    ("d", 90, "/other/snowy/d.jpg", None, None, None, None, None, None),
    ("e", 95, "/other/e.jpg", datetime(2024, 2, 3), datetime(2030, 1, 1), 90, 4000, "ffff000000000001", ["blue"]),
]


@pytest.fixture
def index() -> Index:
    names = ["image_id", "degrees", "path", "taken", "modified", "width", "height", "phash", "colours"]
    rows = [dict(zip(names, row, strict=True)) for row in ROWS]
    types = {field.name: field.type for field in INDEXED_IMAGES if field.name in names}
    columns = {name: pa.array([row[name] for row in rows], type_) for name, type_ in types.items()}
    columns["status"] = pa.array(["ok"] * len(rows))
    vectors = Embeddings([row["image_id"] for row in rows], directions([row["degrees"] for row in rows]), {})
    return build_index(pa.table(columns), {"clip": vectors}, "clip", 100)


@pytest.fixture
def searcher(index: Index) -> Searcher:
    return Searcher(index, {"clip": Compass()}, None, 0, ImageQueryEncoder({"clip": Compass}))


def ids(matches: list[Match]) -> str:
    return "".join(match.image_id for match in matches)


def test_a_term_needs_exactly_one_value() -> None:
    for values in ({}, {"text": "a", "image_id": "b"}):
        with pytest.raises(SearchError, match="exactly one of text, image_id and content"):
            Term(1, **values)


@pytest.mark.parametrize(
    ("query", "found"),
    [("east", "abc"), ("east + north", "cba"), ("north - east", "edc"), ("east + 3 * north", "cde"), ("- east", "edc")],
)
def test_weighted_sums_of_texts(searcher: Searcher, query: str, found: str) -> None:
    terms = parse_query(query).terms
    assert ids(searcher.search(Query(terms, fold_duplicates=False), 3)) == found


def test_terms_that_cancel_out_are_an_error(searcher: Searcher) -> None:
    with pytest.raises(SearchError, match="cancel out"):
        searcher.search(parse_query("east - east"), 3)


def test_an_image_of_the_index_is_not_its_own_result(searcher: Searcher) -> None:
    assert ids(searcher.similar("d", 2)) == "eb"  # c is a near-duplicate of e
    assert ids(searcher.search(parse_query("photo:d - photo:e"), 1)) == "a"
    with pytest.raises(SearchError, match="The index has no image 'z'"):
        searcher.similar("z", 2)


def test_an_image_file_is_a_query(searcher: Searcher, tmp_path: Path) -> None:
    Image.new("L", (8, 8), 90).save(tmp_path / "north.png")
    content = (tmp_path / "north.png").read_bytes()
    assert ids(searcher.similar(content, 3)) == "deb"
    assert ids(searcher.search(Query((Term(1, content=content), Term(5, text="east"))), 1)) == "b"
    with pytest.raises(InputError, match="not an image in a supported format"):
        searcher.similar(b"<svg/>", 3)
    with pytest.raises(InputError, match="cannot be decoded"):
        searcher.similar(content[:45], 3)


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        (Filters(), "abcde"),
        (Filters(folder="snow"), "ac"),
        (Filters(folder="2023/"), "ab"),
        (Filters(folder="/photos"), "abc"),
        (Filters(folder="2023/snow"), "a"),
        (Filters(folder="nowhere"), ""),
        (Filters(after=date(2023, 6, 1)), "ce"),
        (Filters(before=date(2024, 2, 3)), "ac"),
        (Filters(after=date(2024, 2, 2), before=date(2024, 2, 3)), "c"),
        (Filters(min_side=100), "bc"),
        (Filters(colour="blue"), "ae"),
        (Filters(colour="blue", folder="other"), "e"),
    ],
)
def test_filters(searcher: Searcher, filters: Filters, found: str) -> None:
    assert ids(searcher.search(Query((Term(1, text="east"),), filters, fold_duplicates=False), 10)) == found


def test_an_unknown_colour_is_an_error(searcher: Searcher) -> None:
    with pytest.raises(SearchError, match="The colour is 'teal', expected one of black"):
        searcher.search(parse_query("east", Filters(colour="teal")), 1)


def test_near_duplicates_are_left_out_and_counted(searcher: Searcher) -> None:
    matches = searcher.search("east", 10)
    assert [(match.image_id, match.n_duplicates) for match in matches] == [("a", 1), ("c", 1), ("d", 0)]
    assert (matches[0].width, matches[0].height, matches[2].width) == (100, 80, None)


@pytest.mark.parametrize("size", [1, 2])
def test_pages_are_slices_of_one_result(searcher: Searcher, size: int) -> None:
    pages = [searcher.search("east", size, offset) for offset in range(0, 5, size)]
    assert "".join(map(ids, pages)) == ids(searcher.search("east", 10)) == "acd"


def test_search_many_equals_single_searches(searcher: Searcher) -> None:
    queries = ["east", parse_query("north - east"), Query((Term(1, image_id="a"),))]
    assert searcher.search_many(queries, 3) == [searcher.search(query, 3) for query in queries]
    assert searcher.search_many([], 3) == []


def test_relevances_of_several_texts_are_multiplied(index: Index) -> None:
    searcher = Searcher(index, {"clip": Compass()}, ByText(), 2, ImageQueryEncoder({}))
    relevance = [searcher.search(parse_query(query), 1)[0].relevance for query in ("east", "east - north", "3 * north")]
    assert relevance == pytest.approx([0.8, 0.8 * 0.5, 0.5])
    assert searcher.search(parse_query("east + photo:c"), 1)[0].relevance is None
    assert searcher.score("a", "north") == 0.5


def test_the_minimum_relevance_needs_predictions(index: Index) -> None:
    reranking = Searcher(index, {"clip": Compass()}, ByText(), 2)
    queries = [
        Query((Term(1, text="east"),), Filters(min_relevance=minimum), fold_duplicates=False) for minimum in (0.7, 0.9)
    ]
    assert ids(reranking.search(queries[0], 5)) == "ab"  # the two reranked images
    assert ids(reranking.search(queries[1], 5)) == ""
    with pytest.raises(SearchError, match="min_relevance requires predictions"):
        Searcher(index, {"clip": Compass()}, None, 0).search(queries[0], 5)


def test_metadata_of_an_image(searcher: Searcher) -> None:
    metadata = searcher.image_metadata("e")
    assert (metadata["path"], metadata["taken"], metadata["colours"]) == (
        "/other/e.jpg",
        datetime(2024, 2, 3),
        ["blue"],
    )
    with pytest.raises(SearchError, match=r"The index has no image '\.\./e'"):
        searcher.image_metadata("../e")


def test_matches_have_the_date_of_the_image(searcher: Searcher) -> None:
    matches = searcher.search(parse_query("east"), 5)
    taken = {match.image_id: match.taken for match in matches}
    assert (taken["a"], taken["d"]) == ("2023-01-05T00:00:00", None)


def test_recommendations(searcher: Searcher) -> None:
    assert ids(searcher.recommend(["d"], k=2, diversity=0)) == "eb"
    assert ids(searcher.recommend(["b"], ["d"], k=1)) == "a"
    with pytest.raises(SearchError, match="The list of liked images is empty"):
        searcher.recommend([])
    with pytest.raises(SearchError, match=r"The diversity is 1\.5, expected 0 to 1"):
        searcher.recommend(["a"], diversity=1.5)


def test_select_diverse_balances_similarity_and_diversity() -> None:
    vectors = directions([0, 1, 2, 40])
    similarities = vectors @ directions([0])[0]
    assert select_diverse(vectors, similarities, 3, 0) == [0, 1, 2]
    assert select_diverse(vectors, similarities, 2, 0.6) == [0, 3]
    assert select_diverse(vectors[:0], similarities[:0], 2, 0.6) == []


def test_texts_are_encoded_once() -> None:
    encoder = Compass()
    vectors = TextQueryEncoder({"clip": encoder})
    assert vectors(["east", " east", "north"]).result().texts == ["east", "north"]
    assert np.array_equal(vectors(["north", "west"]).result().vectors["clip"], directions([90, 180]))
    assert encoder.seen == ["east", "north", "west"]


def test_the_cache_keeps_the_most_recent_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query_encoding, "_CACHE_SIZE", 2)
    encoder = Compass()
    vectors = TextQueryEncoder({"clip": encoder})
    for texts in (["east", "north"], ["east"], ["west"], ["east"], ["west", "east"], ["north"]):
        vectors(texts).result()
    assert encoder.seen == ["east", "north", "west", "north"]


def test_a_vector_is_ready_while_another_encoder_runs() -> None:
    class Slow(Compass):
        def transform(self, texts: Sequence[str]) -> Vectors:
            assert compared.wait(10)
            return super().transform(texts)

    compared = threading.Event()
    pending = TextQueryEncoder({"clip": Compass(), "slow": Slow()})(["east", "north"])
    assert np.array_equal(pending.vector(" north", "clip"), directions([90]))
    compared.set()
    assert set(pending.result().vectors) == {"clip", "slow"}


def test_a_search_uses_one_thread_for_matrix_products(index: Index) -> None:
    def n_threads() -> set[int]:
        return {blas["num_threads"] for blas in threadpool_info() if blas.get("threading_layer") == "pthreads"}

    class Watching(ByText):
        def predict(self, *arguments: Any) -> np.ndarray:
            seen.append(n_threads())
            return super().predict(*arguments)

    seen: list[set[int]] = []
    with threadpool_limits(2):
        Searcher(index, {"clip": Compass()}, Watching(), 3).search("east", 2)
        assert (seen, n_threads()) == ([{1}], {2})


def test_near_duplicates_are_grouped_with_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "_CHUNK_SIZE", 3)
    hashes = [
        "0",
        "1",
        "",
        "ff",
        "3",
        "7f",
        "0",
        "7",
        "",
    ]  # 3 is near 1, but not near 0, which represents 1
    unknown = [None] * 9
    assert results.group_near_duplicates(hashes, unknown, 1) == ([0, 2, 3, 4, 8], [2, 0, 1, 1, 0])
    assert results.group_near_duplicates(hashes, unknown, -1) == (list(range(9)), [0] * 9)
    black, white = bytes(SIGNATURE_BYTES), bytes(33) + b"\xff" * 192
    signatures = [black, white, black, black, None, white, black, white, None]
    assert results.group_near_duplicates(["0"] * 9, signatures, 0) == ([0, 1], [5, 2])


def test_threads_share_the_encoders_and_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query_encoding, "_CACHE_SIZE", 2)
    vectors, loaded = TextQueryEncoder({"clip": Compass()}), []

    def load() -> Compass:
        time.sleep(0.05)
        loaded.append(Compass())
        return loaded[-1]

    image_encoder = ImageQueryEncoder({"clip": load})
    Image.new("L", (8, 8), 90).save(tmp_path / "north.png")
    content = (tmp_path / "north.png").read_bytes()

    def encode(number: int) -> None:
        image_encoder(content, ["clip"])
        for step in range(200):
            name = list(ANGLES)[(number + step) % len(ANGLES)]
            assert np.array_equal(vectors([name]).result().vectors["clip"], directions([ANGLES[name]]))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(encode, range(8)))
    assert len(loaded) == 1


def test_filters_are_cached(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(
        "kadr.search.searcher.allowed_rows", lambda _, filters: calls.append(filters) or np.array([0, 2])
    )
    searcher = Searcher(index, {"clip": Compass()}, None, 0)
    for filters in (Filters(min_side=80), Filters(min_side=80), Filters(min_side=90)):
        assert ids(searcher.search(Query((Term(1.0, text="east"),), filters), 5)) == "ac"
    assert calls == [Filters(min_side=80), Filters(min_side=90)]
