"""Drift: nothing where nothing changed, the size of what did, and no comparison of what cannot be compared."""

import numpy as np
import pandas as pd
import pytest

from kadr.io.embeddings import Embeddings
from kadr.operations.champion.drift import drift_of_tables, drift_of_values, drift_of_vectors, stability_index

RNG = np.random.default_rng(0)
NORMAL = RNG.normal(size=2000)


@pytest.mark.parametrize(
    ("before", "now", "index"),
    [
        ([1.0, 2.0], [1.0, 2.0, 1.0, 2.0], 0.0),
        ([0.0, 1.0], [1.0, 1.0, 1.0, 0.0], (0.75 - 0.5) * np.log(0.75 / 0.5) + (0.25 - 0.5) * np.log(0.25 / 0.5)),
        ([0.0, 0.0, 1.0, 1.0], [1.0], (1 - 0.5) * np.log(1 / 0.5) + (1e-4 - 0.5) * np.log(1e-4 / 0.5)),
    ],
)
def test_the_stability_index_by_hand(before: list[float], now: list[float], index: float) -> None:
    assert stability_index(np.array(before), np.array(now)) == pytest.approx(index)


@pytest.mark.parametrize(
    ("now", "says"),
    [
        (NORMAL, "within noise"),
        (RNG.permutation(NORMAL), "within noise"),
        (RNG.normal(size=2000), "within noise"),
        (NORMAL + 0.2, "small"),
        (NORMAL + 0.4, "moderate"),
        (NORMAL + 1, "large"),
        (NORMAL[:0], "one has none"),
    ],
)
def test_what_is_said_of_a_shift(now: np.ndarray, says: str) -> None:
    assert drift_of_values("x", NORMAL, now).says == says


def test_the_distance_is_in_the_variables_unit() -> None:
    found = drift_of_values("x", NORMAL, NORMAL + 0.5)
    assert found.wasserstein == pytest.approx(0.5)
    assert (found.n_before, found.n_now) == (2000, 2000)


def vectors(shift: float, weights: str, n: int = 300, architecture: str = "net") -> Embeddings:
    values = np.random.default_rng(n).normal(size=(n, 8)) + shift * np.eye(8)[3]
    units = (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)
    return Embeddings([str(i) for i in range(n)], units, {"weights_sha256": weights, "architecture": architecture})


def test_vectors_are_compared_by_component_and_only_by_the_same_model() -> None:
    same, shifted = (drift_of_vectors("v", vectors(0, "a"), vectors(by, "a", 400)) for by in (0.0, 1.0))
    assert (same.says, shifted.says) == ("within noise", "differs")
    assert shifted.ks > same.ks
    for another in (vectors(0, "b"), vectors(0, "a", architecture="net layer4")):
        other = drift_of_vectors("v", vectors(0, "a"), another)
        assert (other.says, other.ks) == ("by another model: not comparable", None)
    assert drift_of_vectors("v", vectors(0, "a"), vectors(0, "a", 0)).says == "one has none"


def tables(rating: float, words: str) -> dict[str, pd.DataFrame]:
    rated = {"source": ["expert"] * 50, "rating": [rating] * 50, "scale_min": 1.0, "scale_max": 4.0}
    return {
        "ratings": pd.DataFrame(rated),
        "relevance": pd.DataFrame({"relevance": [0.5] * 50}),
        "queries": pd.DataFrame({"text": [words] * 50}),
    }


def test_tables_by_variable() -> None:
    found = {drift.variable: drift for drift in drift_of_tables(tables(1, "a red dog"), tables(4, "a red dog"))}
    assert {name: drift.says for name, drift in found.items()} == {
        "ratings, expert": "large",
        "ratings, crowd": "one has none",
        "relevance": "within noise",
        "words in a text": "within noise",
    }
    assert found["ratings, expert"].wasserstein == 1.0
