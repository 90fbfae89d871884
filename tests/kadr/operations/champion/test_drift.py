"""Tests of the drift of values, vectors and tables."""

import numpy as np
import pandas as pd
import pytest

from kadr.io.embeddings import Embeddings
from kadr.operations.champion.drift import population_stability_index, table_drift, value_drift, vector_drift

RNG = np.random.default_rng(0)
NORMAL = RNG.normal(size=2000)


@pytest.mark.parametrize(
    ("reference", "current", "index"),
    [
        ([1.0, 2.0], [1.0, 2.0, 1.0, 2.0], 0.0),
        ([0.0, 1.0], [1.0, 1.0, 1.0, 0.0], (0.75 - 0.5) * np.log(0.75 / 0.5) + (0.25 - 0.5) * np.log(0.25 / 0.5)),
        ([0.0, 0.0, 1.0, 1.0], [1.0], (1 - 0.5) * np.log(1 / 0.5) + (1e-4 - 0.5) * np.log(1e-4 / 0.5)),
    ],
)
def test_the_stability_index_equals_the_manual_result(
    reference: list[float], current: list[float], index: float
) -> None:
    assert population_stability_index(np.array(reference), np.array(current)) == pytest.approx(index)


@pytest.mark.parametrize(
    ("current", "result"),
    [
        (NORMAL, "within noise"),
        (RNG.permutation(NORMAL), "within noise"),
        (RNG.normal(size=2000), "within noise"),
        (NORMAL + 0.2, "small"),
        (NORMAL + 0.4, "moderate"),
        (NORMAL + 1, "large"),
        (NORMAL[:0], "not compared: a sample is empty"),
    ],
)
def test_the_result_names_the_size_of_a_shift(current: np.ndarray, result: str) -> None:
    assert value_drift("x", NORMAL, current).result == result


def test_the_wasserstein_distance_has_the_unit_of_the_variable() -> None:
    drift = value_drift("x", NORMAL, NORMAL + 0.5)
    assert drift.wasserstein == pytest.approx(0.5)
    assert (drift.n_before, drift.n_now) == (2000, 2000)


def make_embeddings(shift: float, weights: str, n: int = 300, architecture: str = "net") -> Embeddings:
    values = np.random.default_rng(n).normal(size=(n, 8)) + shift * np.eye(8)[3]
    units = (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)
    return Embeddings([str(i) for i in range(n)], units, {"weights_sha256": weights, "architecture": architecture})


def test_vectors_of_the_same_model_are_compared_by_component() -> None:
    same, shifted = (
        vector_drift("v", make_embeddings(0, "a"), make_embeddings(shift, "a", 400)) for shift in (0.0, 1.0)
    )
    assert (same.result, shifted.result) == ("within noise", "differs")
    assert shifted.ks > same.ks
    for another in (make_embeddings(0, "b"), make_embeddings(0, "a", architecture="net layer4")):
        other = vector_drift("v", make_embeddings(0, "a"), another)
        assert (other.result, other.ks) == ("not compared: the encoders differ", None)
    assert (
        vector_drift("v", make_embeddings(0, "a"), make_embeddings(0, "a", 0)).result
        == "not compared: a sample is empty"
    )


def make_tables(rating: float, text: str) -> dict[str, pd.DataFrame]:
    ratings = {"source": ["expert"] * 50, "rating": [rating] * 50, "scale_min": 1.0, "scale_max": 4.0}
    return {
        "ratings": pd.DataFrame(ratings),
        "relevance": pd.DataFrame({"relevance": [0.5] * 50}),
        "queries": pd.DataFrame({"text": [text] * 50}),
    }


def test_tables_are_compared_by_variable() -> None:
    by_variable = {
        drift.variable: drift for drift in table_drift(make_tables(1, "a red dog"), make_tables(4, "a red dog"))
    }
    assert {name: drift.result for name, drift in by_variable.items()} == {
        "ratings, expert": "large",
        "ratings, crowd": "not compared: a sample is empty",
        "relevance": "within noise",
        "words in a text": "within noise",
    }
    assert by_variable["ratings, expert"].wasserstein == 1.0
