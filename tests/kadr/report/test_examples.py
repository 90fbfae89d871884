"""Tests for the examples of predictions, searches and disputed pairs."""

import numpy as np
import pandas as pd
import pyarrow as pa

from kadr.index import build_index
from kadr.io.embeddings import Embeddings, Vectors
from kadr.io.schemas import IMAGES
from kadr.report.disputed_pairs import describe_pairs, find_expert_crowd_disagreement, find_expert_disagreement
from kadr.report.prediction_examples import select_best, select_worst
from kadr.report.search_examples import StoredTextEncoder, run_searches
from kadr.search import Searcher
from tests.kadr.report.literal_tables import CROWD_RATINGS, PREDICTIONS, RATINGS, RELEVANCE_WITH_SD


def test_the_best_predictions_are_relevant_pairs_with_one_pair_per_image() -> None:
    assert select_best(PREDICTIONS, 5)["image_id"].tolist() == ["a", "b"]


def test_the_worst_predictions_have_the_largest_errors_in_any_row_order() -> None:
    worst = select_worst(PREDICTIONS, 2)
    assert worst[["image_id", "query_id"]].to_numpy().tolist() == [["b", "1"], ["c", "1"]]
    assert select_worst(PREDICTIONS[::-1], 2).equals(worst)


def test_searches_use_the_stored_embeddings(image_path: str) -> None:
    names, vectors = ["a", "b"], np.eye(2, dtype=np.float32)
    images = pa.Table.from_pylist(
        [{"image_id": name, "path": image_path, "split": "test", "status": "ok"} for name in names], IMAGES
    )
    index = build_index(images, {"clip": Embeddings(names, vectors, {"encoder": "clip"})}, "clip", 100)
    texts = Embeddings(["q1", "q2", "q3"], np.array([[0, 1], [1, 0], [1, 0]], dtype=np.float32), {"encoder": "clip"})
    encoder = StoredTextEncoder(texts, {"bee": "q1", "ant": "q2", "any": "q3"})
    queries = pd.DataFrame(
        [
            ("q1", "bee", "b", "test"),
            ("q2", "ant", "b", "test"),
            ("q3", "any", None, "test"),
            ("q4", "x", "a", "train"),
        ],
        columns=["query_id", "text", "image_id", "split"],
    )
    with_target, without_target = run_searches(Searcher(index, {"clip": encoder}, None, 0), queries, 3, 2)
    assert (with_target.text, with_target.has_target) == ("bee", True)
    assert [match.is_target for match in with_target.matches] == [True, False]
    assert with_target.matches[0].thumbnail.startswith("data:image/jpeg;base64,")
    assert (without_target.text, without_target.has_target) == ("any", False)


def test_stored_embeddings_are_looked_up_by_text() -> None:
    vectors: Vectors = np.eye(2, dtype=np.float32)
    encoder = StoredTextEncoder(Embeddings(["1", "2"], vectors, {}), {"a": "1", "b": "2"})
    assert encoder.transform(["b", "a"]).tolist() == [[0, 1], [1, 0]]


def test_disputed_pairs_have_the_largest_disagreement() -> None:
    assert find_expert_disagreement(RATINGS, 5).to_numpy().tolist() == [["a", "1"]]
    assert find_expert_crowd_disagreement(RATINGS, 5)["image_id"].tolist() == ["a", "c"]
    assert find_expert_disagreement(CROWD_RATINGS, 5).empty
    assert find_expert_crowd_disagreement(CROWD_RATINGS, 5).empty


def test_pairs_are_described_with_their_ratings_and_one_standard_deviation(image_path: str) -> None:
    pairs = find_expert_disagreement(RATINGS, 5)
    (pair,) = describe_pairs(pairs, RATINGS, RELEVANCE_WITH_SD, {"1": "a dog"}, {"a": image_path})
    assert (pair.expert, pair.crowd) == (["3", "4"], "2 of 4 yes")
    assert (pair.low, pair.high) == (0.8, 1.0)
