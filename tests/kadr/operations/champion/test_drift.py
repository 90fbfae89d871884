"""Tests of the drift of values, vectors and tables, and of the recommended action."""

import numpy as np
import pandas as pd
import pytest

from kadr.aggregate import aggregate_ratings
from kadr.io.embeddings import Embeddings
from kadr.operations.champion.drift import EMPTY, Drift, Sample, summarise, table_drift, value_drift, vector_drift
from kadr.operations.champion.refresh_report import to_markdown
from kadr.params import EvaluateParams, Params

N_IMAGES, N_RATINGS = 120, 6


@pytest.fixture
def settings(small_params: Params) -> EvaluateParams:
    return small_params.evaluate.model_copy(update={"n_bootstrap": 100})


def make_sample(shift: float, prefix: str, n_images: int = N_IMAGES) -> Sample:
    """Draw ratings from 1 to 4. The ratings of an image are correlated."""
    rng = np.random.default_rng([n_images, *prefix.encode()])
    values = 2.5 + shift + 0.6 * rng.normal(size=(n_images, 1)) + 0.8 * rng.normal(size=(n_images, N_RATINGS))
    clusters = [f"{prefix}{image}" for image in range(n_images) for _ in range(N_RATINGS)]
    return Sample(np.clip(values.round(), 1, 4).reshape(-1), clusters)


@pytest.mark.parametrize(
    ("shift", "n_images", "action"),
    [(0.0, 120, "nothing"), (0.0, 10, "nothing"), (0.1, 120, "nothing"), (0.5, 120, "look"), (1.0, 120, "retrain")],
)
def test_the_action_depends_on_the_size_of_the_shift(
    settings: EvaluateParams, shift: float, n_images: int, action: str
) -> None:
    drift = value_drift("x", make_sample(0, "a", n_images), make_sample(shift, "b", n_images), settings, 0)
    assert drift.action == action
    assert drift.low <= drift.drift <= drift.high


def test_a_drift_is_the_wasserstein_distance_in_standard_deviations(settings: EvaluateParams) -> None:
    values, clusters = np.arange(1000.0), [str(i) for i in range(1000)]
    drift = value_drift("x", Sample(values, clusters), Sample(values + 50, clusters), settings, 0)
    assert drift.drift == pytest.approx(50 / values.std(), rel=0.05)
    assert (drift.mean_before, drift.mean_now, drift.n_before) == (499.5, 549.5, 1000)
    constant = Sample(np.ones(5), list("abcde"))
    assert value_drift("x", constant, constant, settings, 0).drift == 0
    assert value_drift("x", constant, Sample(np.full(5, 4.0), list("abcde")), settings, 0).drift == pytest.approx(2)


def test_identical_samples_have_no_drift_and_no_uncertainty(settings: EvaluateParams) -> None:
    drift = value_drift("x", make_sample(0, "a"), make_sample(0, "a"), settings, 0)
    assert (drift.drift, drift.low, drift.high) == (0, 0, 0)


def test_an_empty_sample_is_not_compared(settings: EvaluateParams) -> None:
    drift = value_drift("x", make_sample(0, "a"), Sample(np.empty(0), []), settings, 0)
    assert (drift.drift, drift.action, drift.note) == (None, "look", EMPTY)


def make_embeddings(shift: float, prefix: str, n: int = 300, **metadata: str) -> Embeddings:
    values = np.random.default_rng(n).normal(size=(n, 8)) + shift * np.eye(8)[3]
    units = (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)
    return Embeddings(
        [f"{prefix}{i}" for i in range(n)], units, {"weights_sha256": "a", "architecture": "net"} | metadata
    )


def test_vectors_of_the_same_encoder_are_compared_by_their_means(settings: EvaluateParams) -> None:
    reference = make_embeddings(0, "a")
    for current, action in (
        (make_embeddings(0, "a"), "nothing"),
        (make_embeddings(0, "b", 400), "nothing"),
        (make_embeddings(1, "b", 400), "look"),
        (make_embeddings(4, "b", 400), "retrain"),
    ):
        assert vector_drift("v", reference, current, settings, 0).action == action
    for metadata in ({"weights_sha256": "b"}, {"architecture": "net layer4"}):
        drift = vector_drift("v", reference, make_embeddings(0, "a", **metadata), settings, 0)
        assert (drift.note, drift.drift, drift.action) == ("not compared: the encoders differ", None, "nothing")
    assert vector_drift("v", reference, make_embeddings(0, "a", 0), settings, 0).note == EMPTY


def test_large_sets_of_vectors_are_reduced_to_the_same_ids(
    settings: EvaluateParams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kadr.operations.champion.drift.MAX_VECTORS", 50)
    vectors = make_embeddings(0, "a")
    drift = vector_drift("v", vectors, vectors, settings, 0)
    assert (drift.n_before, drift.drift, drift.high) == (300, 0, 0)
    assert vector_drift("v", make_embeddings(0, "b", 5), vectors, settings, 0).drift is not None


def make_tables(params: Params, n_images: int, shift: float) -> dict[str, pd.DataFrame]:
    """Return the tables of a snapshot: ratings of three experts for three queries per image, and their relevance."""
    rng = np.random.default_rng(0)
    pairs = pd.DataFrame(
        {"image_id": np.repeat([f"{i}.jpg" for i in range(n_images)], 3), "query_id": list("abc") * n_images}
    )
    truth = rng.normal(size=len(pairs)) + shift
    raters = [
        pairs.assign(rater=str(rater), rating=np.clip(np.round(2.5 + truth + 0.5 * rng.normal(size=len(pairs))), 1, 4))
        for rater in range(3)
    ]
    ratings = pd.concat(raters).assign(source="expert", scale_min=1.0, scale_max=4.0, votes=1)
    queries = pd.DataFrame({"query_id": list("abc"), "text": ["a red dog", "two", "a cat"], "image_id": None})
    return {
        "ratings": ratings,
        "relevance": aggregate_ratings(ratings, params.aggregate).relevance,
        "queries": queries,
    }


def test_fewer_images_do_not_alarm_although_the_values_of_the_relevance_change(small_params: Params) -> None:
    before, fewer = (make_tables(small_params, n_images, 0) for n_images in (150, 120))
    both = (set(tables["relevance"]["relevance"].round(6)) for tables in (before, fewer))
    assert not set.intersection(*both)  # the graded response model is fitted again
    drifts = table_drift(before, fewer, small_params.evaluate, 0)
    assert [drift.variable for drift in drifts] == ["expert ratings", "relevance", "words per query"]
    summary = summarise("v000001", drifts)
    assert summary["action"] == "nothing"
    assert all(drift.drift < 0.1 for drift in drifts)


def test_a_real_shift_is_reported_with_its_size_and_action(small_params: Params) -> None:
    before, now = make_tables(small_params, 150, 0), make_tables(small_params, 150, 1.0)
    summary = summarise("v000001", table_drift(before, now, small_params.evaluate, 0))
    assert summary["action"] == "retrain"
    (ratings, *_) = summary["variables"]
    assert ratings["drift"] == round(ratings["drift"], 3)
    report = {"verdict": "rejected", "reason": "worse", "champion": "v000001", "snapshot": "data/raw/new"}
    page = to_markdown(report | {"mlflow_run": None, "mlflow_url": None, "model_sha256": "0", "data_drift": summary})
    assert "## Drift from champion v000001: retrain" in page
    interval = f"{ratings['drift']:.2f} ({ratings['low']:.2f} to {ratings['high']:.2f})"
    assert f"expert ratings {interval}, relevance " in page
    assert "- MLflow run: not recorded" in page
    assert "Rule for the action: `retrain` if the drift is at least 0.5 standard deviations" in page


def test_no_variable_needs_no_action() -> None:
    assert summarise("v1", [Drift("v", 0, 3, note="not compared: the encoders differ")])["reason"] == (
        "v not compared: the encoders differ"
    )
    assert summarise("v1", [])["action"] == "nothing"
