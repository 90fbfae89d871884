"""Test that the methods of crowd-kit give more weight to reliable raters and require rater IDs."""

import numpy as np
import pandas as pd
import pytest

from kadr.aggregate import AGGREGATORS, aggregate_ratings
from kadr.aggregate.crowd_kit import CrowdKitAggregator
from kadr.errors import InputError
from kadr.params import AggregateParams

N_PAIRS, LEVELS = 40, np.array([0.0, 1 / 3, 2 / 3, 1.0])
METHODS = [name for name in AGGREGATORS.names if issubclass(AGGREGATORS.load(name), CrowdKitAggregator)]
SLOW = ("glad", "mace")


@pytest.fixture(scope="module")
def rated() -> pd.DataFrame:
    """Return ratings by three reliable and two random raters. Column `truth` contains the true relevance."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, N_PAIRS)
    tables = []
    for rater, accuracy in {"a": 0.9, "b": 0.9, "c": 0.85, "guess": 0.0, "other": 0.0}.items():
        level = np.where(rng.random(N_PAIRS) < accuracy, truth, rng.integers(0, 4, N_PAIRS))
        columns = {"image_id": [f"{number:03d}.jpg" for number in range(N_PAIRS)], "rater": rater}
        tables.append(pd.DataFrame({**columns, "unit_rating": LEVELS[level], "truth": LEVELS[truth]}))
    return pd.concat(tables, ignore_index=True).assign(query_id="t", source="expert", votes=1)


def test_all_methods_of_crowd_kit_are_registered() -> None:
    assert METHODS == ["dawid_skene", "glad", "m_msr", "mace", "wawa"]


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in METHODS])
def test_method_is_closer_to_the_truth_than_the_mean(rated: pd.DataFrame, name: str) -> None:
    truth = rated.groupby("image_id")["truth"].first()

    def rmse(method: str) -> float:
        relevance = AGGREGATORS.load(method)().fit_predict(rated).set_index("image_id")["relevance"]
        assert relevance.index.equals(truth.index)
        return float(np.sqrt(((relevance - truth) ** 2).mean()))

    assert rmse(name) < rmse("mean")


@pytest.mark.parametrize("name", [name for name in METHODS if name not in SLOW])
def test_result_does_not_depend_on_the_order_of_ratings(rated: pd.DataFrame, name: str) -> None:
    shuffled = rated.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(
        AGGREGATORS.load(name)().fit_predict(shuffled), AGGREGATORS.load(name)().fit_predict(rated)
    )


@pytest.mark.parametrize("name", METHODS)
def test_missing_rater_ids_are_an_error(rated: pd.DataFrame, name: str) -> None:
    ratings = rated.assign(rating=rated["unit_rating"], scale_min=0.0, scale_max=1.0)
    ratings["rater"] = ratings["rater"].where(ratings["rater"] != "c", None)
    with pytest.raises(
        InputError, match=rf"40 of 200 expert ratings have no rater ID.*{name} requires.*graded_response"
    ):
        aggregate_ratings(ratings, AggregateParams(expert=name, crowd_weight=0.0))


def test_no_expert_ratings_give_no_pairs(rated: pd.DataFrame) -> None:
    assert AGGREGATORS.load("dawid_skene")().fit_predict(rated[:0]).empty
