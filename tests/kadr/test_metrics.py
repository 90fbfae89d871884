"""Metrics: their values on literal tables, what has none, and intervals that cover."""

import numpy as np
import pandas as pd
import pytest

from kadr.metrics import agreement, bootstrap, crowd_pairs, expert_pairs, ranks, reliability, retrieval
from kadr.metrics.evaluate import agreement_figures, as_json, ceiling
from kadr.params import EvaluateParams

RATINGS = pd.DataFrame(
    [
        ("a.jpg", "b#0", "expert", 1.0),
        ("a.jpg", "b#0", "expert", 2.0),
        ("a.jpg", "a#0", "expert", 4.0),
        ("b.jpg", "t1", "expert", 4.0),
        ("a.jpg", "b#0", "crowd", 0.0),
        ("b.jpg", "t1", "crowd", 1.0),
    ],
    columns=["image_id", "query_id", "source", "rating"],
)
QUERIES = pd.DataFrame({"query_id": ["a#0", "b#0", "t1"], "image_id": ["a.jpg", "b.jpg", None]})
FEW = EvaluateParams(n_bootstrap=50, confidence=0.9)


def test_expert_pairs_leave_out_own_captions_and_keep_every_rating() -> None:
    pairs = expert_pairs(RATINGS, QUERIES)
    assert list(pairs.itertuples(index=False, name=None)) == [
        ("a.jpg", "b#0", 1.0),
        ("a.jpg", "b#0", 2.0),
        ("b.jpg", "t1", 4.0),
    ]


def test_crowd_pairs() -> None:
    assert crowd_pairs(RATINGS)["rating"].tolist() == [0.0, 1.0]


@pytest.mark.parametrize(
    ("name", "people", "score", "value"),
    [
        ("tau_c", [1, 2, 3], [0.1, 0.2, 0.3], 100.0),
        ("tau_b", [0, 0, 1], [0.3, 0.2, 0.1], -81.64966),
        ("spearman", [1, 2, 3], [3, 2, 1], -1.0),
        ("rmse", [0.0, 1.0], [0.5, 0.5], 0.5),
        ("r2", [0.0, 1.0], [0.5, 0.5], 0.0),
        ("auc", [0.0, 0.2, 0.9], [0.1, 0.3, 0.2], 0.5),
    ],
)
def test_agreement(name: str, people: list[float], score: list[float], value: float) -> None:
    assert agreement[name](np.array(people, float), np.array(score, float)) == pytest.approx(value, abs=1e-4)


@pytest.mark.parametrize("name", sorted(agreement))
def test_no_ratings_no_figure(name: str) -> None:
    assert agreement[name](np.empty(0), np.empty(0)) is None


@pytest.mark.parametrize("name", ["tau_c", "tau_b", "spearman", "auc"])
def test_constant_scores_have_no_rank_correlation(name: str) -> None:
    assert agreement[name](np.array([0.0, 1.0]), np.array([0.5, 0.5])) is None


def test_ranks_and_retrieval() -> None:
    scores = np.array([[0.9, 0.1, 0.2], [0.5, 0.4, 0.6], [0.5, 0.5, 0.1]])
    rank = ranks(scores, np.array([0, 1, 0]))
    assert rank.tolist() == [1, 3, 2]
    assert {name: figure(rank) for name, figure in retrieval.items()} == {
        "recall_at_1": pytest.approx(1 / 3),
        "recall_at_5": 1.0,
        "recall_at_10": 1.0,
        "mrr": pytest.approx((1 + 1 / 3 + 1 / 2) / 3),
    }


def test_equal_scores_rank_in_the_middle() -> None:
    assert ranks(np.zeros((1, 101)), np.array([7])).tolist() == [51]


def test_bootstrap_covers_the_mean_of_clusters() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for seed in range(100):
        cluster = np.repeat(np.arange(40), 5)
        values = rng.normal(size=40)[cluster] + 0.1 * rng.normal(size=200)
        interval = bootstrap(lambda rows, v=values: float(v[rows].mean()), [str(c) for c in cluster], 200, 0.9, seed)
        assert interval is not None
        covered += interval.low <= 0.0 <= interval.high
    assert 80 <= covered <= 98


def test_bootstrap_is_deterministic_and_none_stays_none() -> None:
    values = np.arange(10.0)
    clusters = [str(i) for i in range(10)]
    first, second = (bootstrap(lambda rows: float(values[rows].mean()), clusters, 20, 0.9, 3) for _ in range(2))
    assert first == second
    assert bootstrap(lambda _rows: None, clusters, 20, 0.9, 3) is None


def test_figures_of_a_perfect_score() -> None:
    predictions = pd.DataFrame(
        {"image_id": ["a.jpg", "b.jpg"], "query_id": ["b#0", "t1"], "relevance": [0.1, 1.0], "score": [0.1, 1.0]}
    )
    figures = agreement_figures(predictions, expert_pairs(RATINGS, QUERIES), crowd_pairs(RATINGS), FEW, seed=0)
    assert {name: figure.value for name, figure in figures.items() if figure} == pytest.approx(
        {"tau_c": 88.8889, "tau_b": 100.0, "spearman": 1.0, "rmse": 0.0, "r2": 1.0, "auc": 1.0}, abs=1e-3
    )
    no_crowd = agreement_figures(predictions, expert_pairs(RATINGS, QUERIES), crowd_pairs(RATINGS[:0]), FEW, seed=0)
    assert as_json(no_crowd)["tau_b"] is None
    best = ceiling(expert_pairs(RATINGS, QUERIES), FEW, seed=0)["tau_c"]
    assert best is not None
    assert best.value == figures["tau_c"].value  # type: ignore[union-attr]


def test_reliability_has_a_row_per_filled_bin() -> None:
    table = reliability(np.array([0.0, 0.5, 1.0]), np.array([0.12, 0.18, 1.0]))
    assert table.to_dict("list") == {
        "predicted": [pytest.approx(0.15), 1.0],
        "observed": [0.25, 1.0],
        "n": [2, 1],
    }
