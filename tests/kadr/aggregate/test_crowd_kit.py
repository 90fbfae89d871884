"""crowd-kit's methods: they find the raters who are right, and refuse ratings by nobody."""

import numpy as np
import pandas as pd
import pytest

from kadr.aggregate import AGGREGATORS
from kadr.aggregate.crowd_kit import ALGORITHMS
from kadr.errors import InputError

N_PAIRS, LEVELS = 40, np.array([0.0, 1 / 3, 2 / 3, 1.0])


@pytest.fixture(scope="module")
def rated() -> pd.DataFrame:
    """Three raters who nearly always say the truth and two who guess; `truth` beside each rating."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, N_PAIRS)
    rows = []
    for rater, right in {"a": 0.9, "b": 0.9, "c": 0.85, "guess": 0.0, "other": 0.0}.items():
        said = np.where(rng.random(N_PAIRS) < right, truth, rng.integers(0, 4, N_PAIRS))
        ids = [f"{number:03d}.jpg" for number in range(N_PAIRS)]
        rows.append(pd.DataFrame({"image_id": ids, "rater": rater, "rating": LEVELS[said], "truth": LEVELS[truth]}))
    return pd.concat(rows).assign(query_id="t")


SLOW = ("glad", "mace")


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in ALGORITHMS])
def test_it_is_nearer_the_truth_than_the_mean_in_any_order(rated: pd.DataFrame, name: str) -> None:
    truth = rated.groupby("image_id")["truth"].first()

    def error(found: pd.DataFrame) -> float:
        return float(np.sqrt(((found.set_index("image_id")["rating"] - truth) ** 2).mean()))

    found = AGGREGATORS[name]().fit_predict(rated)
    assert found["image_id"].tolist() == truth.index.tolist()
    assert error(found) < error(AGGREGATORS["mean"]().fit_predict(rated.assign(votes=1)))
    if name not in SLOW:
        pd.testing.assert_frame_equal(AGGREGATORS[name]().fit_predict(rated.sample(frac=1, random_state=1)), found)


@pytest.mark.parametrize("name", sorted(ALGORITHMS))
def test_unknown_raters_are_an_error_that_explains_itself(rated: pd.DataFrame, name: str) -> None:
    unknown = rated.assign(rater=rated["rater"].where(rated["rater"] != "c", None))
    with pytest.raises(InputError, match=rf"{name} learns .* of 200 expert ratings 40 are .* graded_response"):
        AGGREGATORS[name]().fit_predict(unknown)


def test_no_expert_ratings_are_no_pairs(rated: pd.DataFrame) -> None:
    assert AGGREGATORS["dawid_skene"]().fit_predict(rated[:0]).empty
