"""Test metrics on small tables with known results, bootstrap intervals, and quality gates."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from kadr.errors import GateError
from kadr.metrics import (
    PAIR_METRICS,
    RETRIEVAL_METRICS,
    Interval,
    bootstrap,
    crowd_ratings,
    expert_ratings,
    gates,
    leave_one_out_ratings,
    ndcg_by_query,
    reliability_table,
    target_ranks,
)
from kadr.metrics.evaluation import agreement_metrics, as_json, ceiling, differences, human_agreement
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
).assign(scale_min=[1.0] * 4 + [0.0] * 2, scale_max=[4.0] * 4 + [1.0] * 2)
QUERIES = pd.DataFrame({"query_id": ["a#0", "b#0", "t1"], "image_id": ["a.jpg", "b.jpg", None]})
NO_GATES = GateParams(above=None, champion=None, figures=())
PARAMS = EvaluateParams(n_bootstrap=50, confidence=0.9, gates=NO_GATES)


def test_expert_ratings_exclude_pairs_of_an_image_and_its_caption() -> None:
    assert list(expert_ratings(RATINGS, QUERIES).itertuples(index=False, name=None)) == [
        ("a.jpg", "b#0", 1.0),
        ("a.jpg", "b#0", 2.0),
        ("b.jpg", "t1", 4.0),
    ]


def test_expert_ratings_on_different_scales_are_scaled() -> None:
    ratings = RATINGS.assign(scale_max=[4.0, 3.0, 4.0, 4.0, 1.0, 1.0])
    assert expert_ratings(ratings, QUERIES)["rating"].tolist() == [0.0, 0.5, 1.0]


def test_crowd_ratings_are_selected() -> None:
    assert crowd_ratings(RATINGS)["rating"].tolist() == [0.0, 1.0]


@pytest.mark.parametrize(
    ("name", "target", "score", "value"),
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
def test_metric_has_the_expected_value(name: str, target: list[float], score: list[float], value: float) -> None:
    assert PAIR_METRICS[name](np.array(target, float), np.array(score, float)) == pytest.approx(value, abs=1e-4)


@pytest.mark.parametrize("name", sorted(PAIR_METRICS))
def test_metric_is_undefined_without_pairs(name: str) -> None:
    assert PAIR_METRICS[name](np.empty(0), np.empty(0)) is None


@pytest.mark.parametrize("name", ["tau_c", "tau_b", "spearman", "auc"])
def test_rank_metric_is_undefined_for_constant_scores(name: str) -> None:
    assert PAIR_METRICS[name](np.array([0.0, 1.0]), np.array([0.5, 0.5])) is None


@pytest.mark.parametrize("name", ["r2", "auc", "average_precision"])
def test_metric_is_undefined_for_constant_targets(name: str) -> None:
    assert PAIR_METRICS[name](np.array([0.7, 0.7]), np.array([0.2, 0.5])) is None


@pytest.mark.parametrize(
    ("name", "reference"), [("auc", roc_auc_score), ("average_precision", average_precision_score)]
)
@pytest.mark.parametrize("n_distinct", [5, 500])
def test_metric_equals_scikit_learn(name: str, reference: object, n_distinct: int) -> None:
    rng = np.random.default_rng(0)
    target, score = rng.random(500), rng.integers(n_distinct, size=500) / n_distinct
    assert PAIR_METRICS[name](target, score) == pytest.approx(reference(target >= 0.5, score), abs=1e-12)  # type: ignore[operator]


def test_target_ranks_give_recall_and_reciprocal_rank() -> None:
    scores = np.array([[0.9, 0.1, 0.2], [0.5, 0.4, 0.6], [0.5, 0.5, 0.1]])
    rank = target_ranks(scores, np.array([0, 1, 0]))
    assert rank.tolist() == [1, 3, 2]
    assert {name: metric(rank) for name, metric in RETRIEVAL_METRICS.items()} == {
        "recall_at_1": pytest.approx(1 / 3),
        "recall_at_5": 1.0,
        "recall_at_10": 1.0,
        "mrr": pytest.approx((1 + 1 / 3 + 1 / 2) / 3),
    }


@pytest.mark.parametrize("metric", RETRIEVAL_METRICS.values(), ids=RETRIEVAL_METRICS)
def test_retrieval_metric_is_undefined_without_queries(metric: object) -> None:
    assert metric(np.empty(0, dtype=np.int64)) is None  # type: ignore[operator]


def test_target_among_equal_scores_ranks_in_the_middle() -> None:
    assert target_ranks(np.zeros((1, 101)), np.array([7])).tolist() == [51]


def test_bootstrap_interval_of_clustered_rows_covers_the_true_mean() -> None:
    rng = np.random.default_rng(0)
    n_covered = 0
    for seed in range(100):
        cluster = np.repeat(np.arange(40), 5)
        values = rng.normal(size=40)[cluster] + 0.1 * rng.normal(size=200)
        interval = bootstrap(lambda rows, v=values: float(v[rows].mean()), [str(c) for c in cluster], 200, 0.9, seed)
        assert interval is not None
        n_covered += interval.low <= 0.0 <= interval.high
    assert 80 <= n_covered <= 98


def test_bootstrap_depends_on_the_seed_only() -> None:
    values = np.arange(10.0)
    clusters = [str(i) for i in range(10)]
    first, second, other = (
        bootstrap(lambda rows: float(values[rows].mean()), clusters, 20, 0.9, seed) for seed in (3, 3, 4)
    )
    assert first == second
    assert first != other


def test_bootstrap_of_an_undefined_statistic_is_none() -> None:
    assert bootstrap(lambda _rows: None, ["a", "b"], 20, 0.9, 3) is None


def test_interval_ignores_resamples_without_a_value() -> None:
    assert Interval(1.0, (np.nan, 1.0, 3.0), 1.0).low == 1.0
    assert (Interval(1.0, (np.nan, 1.0), 1.0) - Interval(0.5, (2.0, 0.5), 1.0)).high == 0.5


PERFECT = pd.DataFrame(
    {"image_id": ["a.jpg", "b.jpg"], "query_id": ["b#0", "t1"], "relevance": [0.1, 1.0], "score": [0.1, 1.0]}
)


def test_perfect_scores_have_the_best_metrics() -> None:
    estimates = agreement_metrics(PERFECT, expert_ratings(RATINGS, QUERIES), crowd_ratings(RATINGS), PARAMS, seed=0)
    assert {name: interval.value for name, interval in estimates.items() if interval} == pytest.approx(
        {"tau_c": 88.8889, "tau_b": 100.0, "spearman": 1.0, "auc": 1.0, "average_precision": 1.0}
        | {"rmse": 0.0, "r2": 1.0, "ece": 0.0},
        abs=1e-3,
    )


def test_metrics_of_missing_crowd_ratings_are_null() -> None:
    expert, crowd = expert_ratings(RATINGS, QUERIES), crowd_ratings(RATINGS[:0])
    assert as_json(agreement_metrics(PERFECT, expert, crowd, PARAMS, seed=0, names=("tau_c", "tau_b"))) == {
        "tau_c": {"value": 88.888889, "low": 88.888889, "high": 88.888889},
        "tau_b": None,
    }


def test_ceiling_is_the_tau_of_the_mean_rating() -> None:
    interval = ceiling(expert_ratings(RATINGS, QUERIES), PARAMS, seed=0)["tau_c"]
    assert interval is not None
    assert interval.value == pytest.approx(88.8889, abs=1e-3)


def test_ndcg_is_computed_for_queries_with_different_relevances() -> None:
    rows = [("t", 1.0, 0.1), ("t", 0.0, 0.9), ("u", 0.5, 0.3), ("u", 0.5, 0.2), ("v", 1.0, 0.3), ("w", 0.2, 0.5)]
    predictions = pd.DataFrame([*rows, ("w", 0.4, 0.6)], columns=["query_id", "relevance", "score"])
    ndcg = ndcg_by_query(predictions, 10)
    assert ndcg.to_dict() == {"t": pytest.approx(1 / np.log2(3)), "w": 1.0}
    assert ndcg_by_query(predictions.sample(frac=1, random_state=1), 10).equals(ndcg)
    assert ndcg_by_query(predictions[:0], 10).empty


def test_leave_one_out_compares_each_rating_with_the_mean_of_the_others() -> None:
    ratings = leave_one_out_ratings(expert_ratings(RATINGS, QUERIES))
    assert list(ratings[["rating", "others"]].itertuples(index=False, name=None)) == [(1.0, 2.0), (2.0, 1.0)]


def test_human_agreement_relates_the_model_to_the_other_experts() -> None:
    rows = [(f"{i}", "t", "expert", rating) for i in range(1, 5) for rating in (i, i, min(i + 1, 4))]
    expert = pd.DataFrame(rows, columns=["image_id", "query_id", "source", "rating"])
    predictions = pd.DataFrame({"image_id": list("1234"), "query_id": "t", "score": [0.1, 0.3, 0.2, 0.9]})
    human = human_agreement(predictions, expert, PARAMS, seed=0)
    assert human["share"].value == pytest.approx(100 * human["model"].value / human["tau_c"].value)  # type: ignore[union-attr]
    assert 50 < human["share"].value < 100  # type: ignore[union-attr]
    assert set(human_agreement(predictions, expert[:0], PARAMS, seed=0).values()) == {None}


def test_paired_difference_is_narrower_than_the_single_intervals() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=200)
    images = [str(i) for i in range(200)]
    lower, higher = (
        bootstrap(lambda rows, v=values + shift: float(v[rows].mean()), images, 100, 0.9, seed=1)
        for shift in (0.0, 0.5)
    )
    assert lower
    assert higher
    difference = higher - lower
    assert (difference.value, difference.low, difference.high) == pytest.approx((0.5, 0.5, 0.5))
    assert lower.high - lower.low > 0.1


def test_difference_needs_both_estimates() -> None:
    interval = Interval(1.0, (1.0, 1.0), 0.9)
    assert differences({"a": interval, "b": None, "c": interval}, {"a": interval, "b": interval}).keys() == {"a"}


@pytest.mark.parametrize(
    ("name", "model", "reference", "is_worse"),
    [
        ("tau_c", (40.0, 39.0, 41.0), (46.0, 45.0, 47.0), True),
        ("tau_c", (46.0, 45.0, 47.0), (40.0, 39.0, 41.0), False),
        ("tau_c", (40.0, 42.0, 39.0), (41.0, 41.0, 41.0), False),
        ("rmse", (0.3, 0.2, 0.4), (0.1, 0.1, 0.1), True),
        ("rmse", (0.1, 0.1, 0.1), (0.3, 0.2, 0.4), False),
    ],
)
def test_gate_rejects_a_significantly_worse_model(
    name: str, model: tuple[float, ...], reference: tuple[float, ...], is_worse: bool
) -> None:
    estimates, baseline = ({name: Interval(values[0], values, 1.0)} for values in (model, reference))
    messages = list(gates.find_regressions(estimates, "champion old", baseline, [name]))
    assert bool(messages) is is_worse
    if is_worse:
        with pytest.raises(
            GateError, match=rf"{name} is .* for the model and .* for champion old: .*100% interval .* to "
        ):
            gates.enforce(messages)
    else:
        gates.enforce(messages)


def test_gate_skips_missing_metrics_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    model = {"tau_c": Interval(1.0, (1.0, 1.0), 1.0), "tau_b": None}
    reference = {"tau_c": None, "tau_b": None}
    assert list(gates.find_regressions(model, "baseline cosine", reference, ["tau_c", "tau_b", "mrr"])) == []
    assert [message.split(" is not")[0] for message in caplog.messages] == [
        f"evaluate.gates: metric {name}" for name in ("tau_c", "tau_b", "mrr")
    ]


def test_reliability_table_has_one_row_per_non_empty_bin() -> None:
    table = reliability_table(np.array([0.0, 0.5, 1.0]), np.array([0.12, 0.18, 1.0]))
    assert table.to_dict("list") == {"predicted": [pytest.approx(0.15), 1.0], "observed": [0.25, 1.0], "n": [2, 1]}
