"""Metrics: their values on literal tables, what has none, and intervals that cover."""

import numpy as np
import pandas as pd
import pytest

from kadr.errors import GateError
from kadr.metrics import (
    agreement,
    bootstrap,
    crowd_pairs,
    expert_pairs,
    gates,
    leave_one_out,
    ndcg_by_text,
    ranks,
    reliability,
    retrieval,
)
from kadr.metrics.bootstrap import Interval
from kadr.metrics.evaluation import agreement_figures, as_json, ceiling, differences, human_agreement
from kadr.params import EvaluateParams, GateParams

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
NO_GATES = GateParams(above=None, champion=None, figures=())
FEW = EvaluateParams(n_bootstrap=50, confidence=0.9, gates=NO_GATES)


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
        ("average_precision", [0.9, 0.2, 0.5, 0.0], [0.4, 0.3, 0.2, 0.1], (1 / 1 + 2 / 3) / 2),
        ("average_precision", [0.9, 0.0, 0.0, 0.0], [0.5, 0.5, 0.5, 0.5], 0.25),
        ("ece", [0.0, 0.5, 1.0, 1.0], [0.12, 0.18, 0.9, 1.0], (abs(0.15 - 0.25) * 2 + abs(0.95 - 1.0) * 2) / 4),
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
        {"tau_c": 88.8889, "tau_b": 100.0, "spearman": 1.0, "auc": 1.0, "average_precision": 1.0}
        | {"rmse": 0.0, "r2": 1.0, "ece": 0.0},
        abs=1e-3,
    )
    no_crowd = agreement_figures(predictions, expert_pairs(RATINGS, QUERIES), crowd_pairs(RATINGS[:0]), FEW, seed=0)
    assert as_json(no_crowd)["tau_b"] is None
    best = ceiling(expert_pairs(RATINGS, QUERIES), FEW, seed=0)["tau_c"]
    assert best is not None
    assert best.value == figures["tau_c"].value  # type: ignore[union-attr]


def test_average_precision_is_that_of_scikit_learn() -> None:
    from sklearn.metrics import average_precision_score

    rng = np.random.default_rng(0)
    people, score = rng.random(500), rng.integers(20, size=500) / 20
    assert agreement["average_precision"](people, score) == pytest.approx(average_precision_score(people >= 0.5, score))


def test_ndcg_of_each_text_that_has_an_order() -> None:
    rows = [("t", 1.0, 0.1), ("t", 0.0, 0.9), ("u", 0.5, 0.3), ("u", 0.5, 0.2), ("v", 1.0, 0.3), ("w", 0.2, 0.5)]
    predictions = pd.DataFrame([*rows, ("w", 0.4, 0.6)], columns=["query_id", "relevance", "score"])
    found = ndcg_by_text(predictions, 10)
    assert found.to_dict() == {"t": pytest.approx(1 / np.log2(3)), "w": 1.0}
    assert ndcg_by_text(predictions.sample(frac=1, random_state=1), 10).equals(found)
    assert ndcg_by_text(predictions[:0], 10).empty


# Against others: the experts, a baseline, a champion.


def test_each_expert_stands_against_the_others() -> None:
    left = leave_one_out(expert_pairs(RATINGS, QUERIES))
    assert list(left[["rating", "others"]].itertuples(index=False, name=None)) == [(1.0, 2.0), (2.0, 1.0)]


def test_the_share_of_human_agreement() -> None:
    rows = [(f"{i}", "t", "expert", rating) for i in range(1, 5) for rating in (i, i, min(i + 1, 4))]
    expert = pd.DataFrame(rows, columns=["image_id", "query_id", "source", "rating"])
    predictions = pd.DataFrame({"image_id": list("1234"), "query_id": "t", "score": [0.1, 0.3, 0.2, 0.9]})
    human = human_agreement(predictions, expert, FEW, seed=0)
    assert human["share"].value == pytest.approx(100 * human["model"].value / human["tau_c"].value)  # type: ignore[union-attr]
    assert 50 < human["share"].value < 100  # type: ignore[union-attr]
    assert set(human_agreement(predictions, expert[:0], FEW, seed=0).values()) == {None}


def test_a_paired_difference_is_narrower_than_its_parts() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=200)
    photos = [str(i) for i in range(200)]
    one, two = (
        bootstrap(lambda rows, v=truth + shift: float(v[rows].mean()), photos, 100, 0.9, seed=1) for shift in (0.0, 0.5)
    )
    assert one
    assert two
    gap = two - one
    assert (gap.value, gap.low, gap.high) == pytest.approx((0.5, 0.5, 0.5))
    assert one.high - one.low > 0.1
    assert differences({"a": one, "b": None, "c": two}, {"a": two, "b": one}).keys() == {"a"}


def test_a_sample_without_the_figure_takes_no_part() -> None:
    assert Interval(1.0, (np.nan, 1.0, 3.0), 1.0).low == 1.0
    assert (Interval(1.0, (np.nan, 1.0), 1.0) - Interval(0.5, (2.0, 0.5), 1.0)).high == 0.5


@pytest.mark.parametrize(
    ("name", "ours", "theirs", "worse"),
    [
        ("tau_c", (40.0, 39.0, 41.0), (46.0, 45.0, 47.0), True),
        ("tau_c", (46.0, 45.0, 47.0), (40.0, 39.0, 41.0), False),
        ("tau_c", (40.0, 42.0, 39.0), (41.0, 41.0, 41.0), False),
        ("rmse", (0.3, 0.2, 0.4), (0.1, 0.1, 0.1), True),
        ("rmse", (0.1, 0.1, 0.1), (0.3, 0.2, 0.4), False),
    ],
)
def test_a_gate_shuts_on_more_than_noise(
    name: str, ours: tuple[float, ...], theirs: tuple[float, ...], worse: bool
) -> None:
    model, rival = ({name: Interval(each[0], each, 1.0)} for each in (ours, theirs))
    failed = list(gates.worse(model, "champion old", rival, [name]))
    assert bool(failed) is worse
    gates.hold([])
    if worse:
        with pytest.raises(GateError, match=rf"{name}: .*champion old .*more than noise \(100% interval .* to .*\)"):
            gates.hold(failed)


def test_a_gate_with_nothing_to_compare_is_open_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    model = {"tau_c": Interval(1.0, (1.0, 1.0), 1.0), "tau_b": None}
    assert list(gates.worse(model, "the rival", {"tau_c": None, "tau_b": None}, ["tau_c", "tau_b", "mrr"])) == []
    assert caplog.messages == [
        f"evaluate.gates: {name} is not compared with the rival, as not both have it"
        for name in ("tau_c", "tau_b", "mrr")
    ]


def test_reliability_has_a_row_per_filled_bin() -> None:
    table = reliability(np.array([0.0, 0.5, 1.0]), np.array([0.12, 0.18, 1.0]))
    assert table.to_dict("list") == {
        "predicted": [pytest.approx(0.15), 1.0],
        "observed": [0.25, 1.0],
        "n": [2, 1],
    }
