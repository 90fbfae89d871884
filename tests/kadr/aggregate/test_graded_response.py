"""The graded response model: it recovers what it was simulated with, and says how sure it is."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from kadr.aggregate import GradedResponse, aggregate, agreement, fit, rate_next
from kadr.aggregate.crowd_curve import Votes
from kadr.aggregate.rater_curves import GRID, Graded
from kadr.aggregate.response_patterns import find_levels, find_patterns, voters
from kadr.errors import InputError
from kadr.params import AggregateParams

LEVELS = np.array([0.0, 1 / 3, 2 / 3, 1.0])
CURVES = Graded(np.log([4.0, 3.0]), np.array([0.0, -1.0, 1.0, 0.0]), np.array([-3.0, -4.0, -4.0, -0.8]))
CROWD = Votes(centre=0.6, log_slope=2.7, guess=-3.0, slip=-2.0, overlap=-2.0)
PARAMS = AggregateParams(expert="graded_response", crowd_weight=0.3)


def expert(image_id: list[str], rating: np.ndarray, rater: str | None = None, query_id: str = "t") -> pd.DataFrame:
    table = pd.DataFrame({"image_id": image_id, "query_id": query_id, "source": "expert", "rater": rater})
    return table.assign(rating=rating, scale_min=1.0, scale_max=4.0, votes=1)


def crowd(image_id: list[str], yes: np.ndarray, votes: int, query_id: str = "t") -> pd.DataFrame:
    table = pd.DataFrame({"image_id": image_id, "query_id": query_id, "source": "crowd", "rater": None})
    return table.assign(rating=np.asarray(yes) / votes, scale_min=0.0, scale_max=1.0, votes=votes)


def simulated(n: int, seed: int = 0) -> tuple[pd.DataFrame, pd.Series]:
    """n pairs rated by a (strict), b (generous) and c (careless), the last half by a crowd of 5 too; and the truth."""
    rng = np.random.default_rng(seed)
    place = rng.choice(len(GRID), n, p=np.exp(-3 * GRID) / np.exp(-3 * GRID).sum())
    ids = [f"{number:05d}.jpg" for number in range(n)]
    parts = []
    for at, rater in enumerate("abc", start=1):
        chances = CURVES.chances()[at].T[place].cumsum(axis=1)
        parts.append(expert(ids, 1.0 + (rng.random(n)[:, None] > chances).sum(axis=1), rater))
    half, mean = n // 2, CROWD.yes()[place]
    size = (1 - CROWD.correlation) / CROWD.correlation
    yes = rng.binomial(5, rng.beta(mean * size, (1 - mean) * size))
    parts.append(crowd(ids[half:], yes[half:], 5))
    return pd.concat(parts, ignore_index=True), pd.Series(CURVES.expected(LEVELS)[place], index=ids)


@pytest.fixture(scope="module")
def rated() -> tuple[pd.DataFrame, pd.Series]:
    return simulated(4000)


@pytest.fixture(scope="module")
def model(rated: tuple[pd.DataFrame, pd.Series]) -> GradedResponse:
    return fit(rated[0])


def test_the_parameters_are_recovered(model: GradedResponse) -> None:
    assert model.raters == ("a", "b", "c")
    np.testing.assert_allclose(model.graded.log_gap, CURVES.log_gap, atol=0.15)
    np.testing.assert_allclose(model.graded.leniency[1:], [-1.0, 1.0, 0.0], atol=0.25)
    lapses = 1 / (1 + np.exp(-model.graded.lapse[1:]))
    np.testing.assert_allclose(lapses, [0.02, 0.02, 0.31], atol=0.05)
    np.testing.assert_allclose(model.votes.yes(), CROWD.yes(), atol=0.08)


def test_the_posterior_is_calibrated(rated: tuple[pd.DataFrame, pd.Series], model: GradedResponse) -> None:
    relevance = aggregate(rated[0], PARAMS, model).set_index("image_id")
    off = (relevance["relevance"] - rated[1]) / relevance["sd"]
    assert abs(off.mean()) < 0.05
    assert off.std() == pytest.approx(1.0, abs=0.1)
    mean = rated[0][rated[0]["source"] == "expert"].groupby("image_id")["rating"].mean()
    assert ((relevance["relevance"] - rated[1]) ** 2).mean() < 0.6 * (((mean - 1) / 3 - rated[1]) ** 2).mean()


def test_order_and_repetition_change_nothing(rated: tuple[pd.DataFrame, pd.Series]) -> None:
    few = rated[0][rated[0]["image_id"] < "00300"]
    once = aggregate(few, PARAMS)
    pd.testing.assert_frame_equal(aggregate(few, PARAMS), once)
    pd.testing.assert_frame_equal(aggregate(few.sample(frac=1, random_state=1), PARAMS), once)


def test_who_agrees_weighs_more_than_who_disagrees_and_than_one_vote() -> None:
    base, _ = simulated(600)
    base = base.assign(rater=None)
    extra = [expert(["agree"] * 3, [2.0, 2.0, 2.0]), expert(["apart"] * 3, [1.0, 2.0, 3.0]), crowd(["vote"], [1], 1)]
    relevance = aggregate(pd.concat([base, *extra]), PARAMS).set_index("image_id")
    assert relevance.loc["agree", "sd"] < relevance.loc["apart", "sd"] < relevance.loc["vote", "sd"]
    assert relevance.loc["agree", "weight"] > relevance.loc["apart", "weight"] > relevance.loc["vote", "weight"] > 0
    assert relevance["weight"].max() <= 1


def test_more_votes_say_more_and_yes_raises(model: GradedResponse) -> None:
    said = pd.concat([crowd([f"{yes} of {n}"], [yes], n) for yes, n in [(0, 1), (0, 5), (1, 1), (5, 5)]])
    patterns = model.patterns(said)
    at = dict(zip(patterns.pairs["image_id"], model.moments(patterns)[0][patterns.of_pair], strict=True))
    assert at["0 of 5"] < at["0 of 1"] < at["1 of 1"] < at["5 of 5"]


@pytest.mark.parametrize(
    "said",
    [
        expert(["a", "b", "c"], [1.0, 4.0, 2.0]),
        expert(["a"] * 3 + ["b"] * 3, [3.0] * 6),
        crowd(["a", "b"], [0, 3], 3),
        expert(["a"], [2.0]),
        crowd(["a", "b", "c"], [0.5, 1.0, 0.0], 1),
        expert(["a", "b", "c"], [1.0, 7.0, 4.0]).assign(scale_max=7.0),
        expert(["a", "b", "c"], [0.0, 37.5, 100.0]).assign(scale_min=0.0, scale_max=100.0),
        expert(["a", "b"], [0.0, 1.0]).assign(scale_min=0.0, scale_max=1.0),
    ],
    ids=[
        "one each",
        "all equal",
        "crowd alone",
        "a single rating",
        "half votes",
        "seven steps",
        "percent",
        "yes or no",
    ],
)
def test_little_data_of_any_kind_gives_sane_relevance(said: pd.DataFrame) -> None:
    relevance = aggregate(said, PARAMS).set_index("image_id")
    assert relevance["relevance"].between(0, 1).all()
    assert (relevance["sd"] > 0).all()
    assert relevance["weight"].between(0, 1, inclusive="right").all()
    mean = said.assign(unit=(said["rating"] - said["scale_min"]) / (said["scale_max"] - said["scale_min"]))
    order = mean.groupby("image_id")["unit"].mean().sort_values(kind="stable").index
    assert relevance.loc[order, "relevance"].is_monotonic_increasing


def test_levels_are_the_steps_of_the_scale_and_what_was_given() -> None:
    np.testing.assert_allclose(find_levels(expert(["a"], [1.0])), LEVELS, atol=1e-6)
    np.testing.assert_allclose(find_levels(expert(["a"], [1.5])), [0, 1 / 6, 1 / 3, 2 / 3, 1], atol=1e-6)
    percent = expert(["a"] * 30, np.arange(30.0)).assign(scale_min=0.0, scale_max=100.0)
    np.testing.assert_allclose(find_levels(percent), np.linspace(0, 1, 11))


def test_pairs_said_the_same_of_are_one_pattern() -> None:
    said = pd.concat([expert(["a", "a", "b", "b", "c"], [1.0, 2.0, 2.0, 1.0, 1.0]), crowd(["c", "d"], [1, 2], 3)])
    patterns = find_patterns(said, LEVELS, ())
    assert patterns.pairs["image_id"].tolist() == ["a", "b", "c", "d"]
    assert patterns.of_pair[0] == patterns.of_pair[1]
    assert sorted(patterns.n_pairs) == [1, 1, 2]
    assert patterns.cells.toarray()[patterns.of_pair].tolist() == [[1, 1, 0, 0], [1, 1, 0, 0], [1, 0, 0, 0], [0] * 4]
    assert patterns.votes[patterns.vote][patterns.of_pair].tolist() == [[0, 0], [0, 0], [1, 3], [2, 3]]


def test_a_share_without_votes_is_not_one_persons() -> None:
    shares = np.array([0.3333, 0.25, 0.0, 1.0, 0.67])
    assert voters(shares, np.ones(5)).tolist() == [3, 4, 3, 3, 3]
    assert voters(shares, np.full(5, 4.0)).tolist() == [4] * 5
    assert voters(np.array([0.0, 1.0]), np.ones(2)).tolist() == [1, 1]


def test_the_next_rating_goes_where_it_tells_most(model: GradedResponse) -> None:
    said = pd.concat([expert(["sure"] * 3, [1.0, 1.0, 1.0]), crowd(["open"], [2], 5), expert(["known"], [2.0])])
    images = pd.DataFrame({"image_id": ["sure", "open", "known"], "path": "p"})
    queries = pd.DataFrame({"query_id": ["t"], "text": ["a dog"]})
    best = rate_next(said, model, images, queries, 2)
    assert best["image_id"].tolist() == ["open", "known"]
    assert (best["sd_after"] < best["sd"]).all()
    assert best["text"].tolist() == ["a dog", "a dog"]


def test_agreement_names_the_careless_rater(rated: tuple[pd.DataFrame, pd.Series], model: GradedResponse) -> None:
    found = agreement(rated[0], model)
    assert next(iter(found["raters"])) == "c"
    assert found["raters"]["a"]["leniency"] < 0 < found["raters"]["b"]["leniency"]
    assert 0 < found["icc"] < found["icc_mean"] < 1
    assert found["sd"]["after_one_expert"] < found["sd"]["before"]
    assert found["sd"]["after_5_votes"] < found["sd"]["before"]
    assert sum(sum(row.values()) for row in found["crowd_by_expert"].values()) == 2000


def test_agreement_of_literal_ratings() -> None:
    said = expert(["a", "a", "b", "b", "c", "c", "d"], [1.0, 1.0, 4.0, 4.0, 2.0, 2.0, 3.0])
    found = agreement(said, fit(said))
    assert found["krippendorff_alpha"] == pytest.approx(1.0)
    assert found["icc"] == pytest.approx(1.0)
    alone = agreement(said[-1:], fit(said[-1:]))
    assert alone["krippendorff_alpha"] is None
    assert alone["icc"] is None
    assert alone["crowd_by_expert"] == {}


def test_without_ratings_there_is_no_model() -> None:
    with pytest.raises(InputError, match="got no ratings"):
        aggregate(expert(["a"], [1.0])[:0], PARAMS)


@pytest.mark.slow
def test_a_million_pairs_are_some_hundreds_of_patterns(model: GradedResponse) -> None:
    rng = np.random.default_rng(0)
    ids = pd.Series(np.arange(1_000_000)).astype("str")
    many = pd.concat([expert(ids, rng.integers(1, 5, len(ids)) * 1.0) for _ in range(2)])
    patterns = replace(model, raters=()).patterns(many)
    assert len(patterns.n_pairs) == 10
    assert patterns.n_pairs.sum() == 1_000_000
