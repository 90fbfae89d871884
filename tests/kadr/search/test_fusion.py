"""Tests of the fusion of word search and vector search."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest

from kadr.features import Images, Texts
from kadr.index import Index, build_index
from kadr.io.embeddings import Embeddings, Rows, Vectors
from kadr.search import Filters, Query, Searcher, Term
from kadr.search.fusion import fuse, rank_words, reciprocal_ranks
from kadr.search.results import Scores

N = 60


class FirstAxis:
    """A text encoder that embeds all texts as the same vector."""

    identity = None
    dim = 2

    def transform(self, texts: Sequence[str]) -> Vectors:
        return np.tile(np.array([[1, 0]], dtype=np.float32), (len(texts), 1))


class PreferLast:
    """A relevance model that prefers the images with the last IDs."""

    def predict(self, images: Images, texts: Texts, image_rows: Rows, text_rows: Rows) -> Scores:
        return np.array([int(images.ids[row]) / N for row in image_rows])


@pytest.fixture(scope="module")
def index() -> Index:
    """Create 60 images whose cosine with every text falls from the first to the last."""
    angles = np.linspace(0.1, 1.5, N)
    ids = [f"{number:02d}" for number in range(N)]
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    paths = [f"/photos/IMG_{number:04d}.jpg" for number in range(N)]
    paths[40] = "/photos/2019 Kamchatka/red fox.jpg"
    paths[41] = "/photos/2019 Kamchatka/IMG_0041.jpg"
    descriptions = [None] * N
    descriptions[50] = "Red boats in the harbour"
    table = pa.table(
        {
            "image_id": ids,
            "path": paths,
            "description": pa.array(descriptions, pa.string()),
            "status": ["ok"] * N,
        }
    )
    return build_index(table, {"clip": Embeddings(ids, vectors, {"encoder": "clip"})}, "clip", 100)


@pytest.fixture
def searcher(index: Index) -> Searcher:
    return Searcher(index, {"clip": FirstAxis()}, None, 0)


def ids(searcher: Searcher, query: Query | str, k: int = 3, offset: int = 0) -> list[int]:
    return [int(match.image_id) for match in searcher.search(query, k, offset)]


def text_query(*terms: tuple[float, str], **filters: object) -> Query:
    return Query(tuple(Term(weight, text=text) for weight, text in terms), Filters(**filters))


def test_an_image_with_the_name_of_the_query_is_first(searcher: Searcher) -> None:
    assert ids(searcher, "IMG_0055.jpg") == [55, 0, 1]
    assert ids(searcher, "a fox that is red")[:2] == [40, 0]
    assert ids(searcher, "kamchatka") == [40, 41, 0]  # with equal words, in the order of the cosine
    matches = searcher.search("kamchatka fox", N)
    assert matches[0].words == {"name": ("fox",), "folders": ("kamchatka",)}
    assert [match.words for match in matches if match.image_id == "41"] == [{"folders": ("kamchatka",)}]
    assert matches[0].score == pytest.approx(np.cos(np.linspace(0.1, 1.5, N)[40]), abs=1e-3)


def test_accidental_words_hardly_change_the_order(searcher: Searcher) -> None:
    assert ids(searcher, "three red umbrellas on a wet street in the rain", 20) == list(range(20))
    assert ids(searcher, "photos in the jpg", 5) == list(range(5))  # all images have these words
    assert searcher.search("photos", 1)[0].words == {"folders": ("photos",)}


def test_words_can_be_turned_off(index: Index) -> None:
    searcher = Searcher(index, {"clip": FirstAxis()}, None, 0, words=False)
    assert ids(searcher, "IMG_0055.jpg") == [0, 1, 2]
    assert searcher.search("IMG_0055.jpg", 1)[0].words == {}


def test_an_index_of_an_older_version_has_no_words(index: Index) -> None:
    older = Index(index.encoder, index.table, index.vectors, index.vector_index, {})
    assert ids(Searcher(older, {"clip": FirstAxis()}, None, 0), "IMG_0055.jpg") == [0, 1, 2]


def test_words_of_a_subtracted_text_do_not_help(searcher: Searcher) -> None:
    assert ids(searcher, text_query((2, "kamchatka"), (-1, "red fox"))) == [41, 0, 1]
    assert ids(searcher, text_query((2, "kamchatka"), (-1, "blue fox")))[:2] == [40, 41]


def test_words_count_by_the_weight_of_their_text(searcher: Searcher, index: Index) -> None:
    ranking = rank_words(index, text_query((3, "harbour"), (1, "fox")), None)
    assert ranking is not None
    assert ranking.rows.tolist() == [40, 50]
    assert ranking.ranks.tolist() == [2, 1]
    assert ranking.weights.tolist() == pytest.approx([1 / 16, 9 / 16])
    with_image = Query((Term(1, text="harbour"), Term(1, image_id="03")))
    half = rank_words(index, with_image, None)
    assert half is not None
    assert half.weights.tolist() == pytest.approx([1 / 4])
    assert ids(searcher, with_image)[0] != 50
    assert rank_words(index, Query((Term(1, image_id="40"),)), None) is None


def test_filters_apply_to_words(searcher: Searcher) -> None:
    assert ids(searcher, text_query((1, "harbour"), folder="2019 Kamchatka")) == [40, 41]
    assert ids(searcher, text_query((1, "kamchatka"), folder="2019 Kamchatka", min_cosine=0.99)) == []


@pytest.mark.parametrize("text", ["IMG_0055.jpg kamchatka harbour red", "fox"])
def test_pages_and_the_number_of_results_do_not_change_the_order(text: str, index: Index) -> None:
    for model, rerank in ((None, 0), (PreferLast(), 10)):
        searcher = Searcher(index, {"clip": FirstAxis()}, model, rerank)
        complete = ids(searcher, text, N)
        assert sorted(complete) == list(range(N))
        assert [image for offset in range(0, N, 7) for image in ids(searcher, text, 7, offset)] == complete


def test_a_name_stays_first_after_reranking(index: Index) -> None:
    searcher = Searcher(index, {"clip": FirstAxis()}, PreferLast(), 20)
    assert ids(searcher, "no known words here") == [19, 18, 17]
    assert ids(searcher, "IMG_0030")[0] == 30
    assert ids(searcher, "IMG_0003")[0] == 3


def test_a_query_in_the_order_of_the_cosine_ignores_words(searcher: Searcher) -> None:
    assert ids(searcher, Query((Term(1, text="IMG_0055"),), sort="cosine")) == [0, 1, 2]


def test_reciprocal_rank_fusion() -> None:
    first = reciprocal_ranks(np.array([1, 2, 3]))
    assert first.tolist() == pytest.approx([1 / 61, 1 / 62, 1 / 63])
    assert fuse([first, reciprocal_ranks(np.array([3, 2, 1]))]).tolist() == [0, 2, 1]
    assert fuse([first, np.zeros(3)]).tolist() == [0, 1, 2]
