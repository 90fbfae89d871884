"""Test that the graded response model recovers simulated parameters and estimates calibrated uncertainties."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from kadr.aggregate import (
    GradedResponseModel,
    aggregate_ratings,
    fit_graded_response,
    measure_agreement,
    select_next_ratings,
)
from kadr.aggregate.crowd_curve import CrowdCurve
from kadr.aggregate.rater_curves import GRID, RaterCurves
from kadr.aggregate.response_patterns import find_levels, find_patterns, infer_votes
from kadr.params import AggregateParams

LEVELS = np.array([0.0, 1 / 3, 2 / 3, 1.0])
EXPERT_CURVES = RaterCurves(np.log([4.0, 3.0]), np.array([0.0, -1.0, 1.0, 0.0]), np.array([-3.0, -4.0, -4.0, -0.8]))
CROWD_CURVE = CrowdCurve(centre=0.6, log_slope=2.7, guess=-3.0, slip=-2.0, logit_correlation=-2.0)


def expert(image_id: list[str], rating: np.ndarray, rater: str | None = None, query_id: str = "t") -> pd.DataFrame:
    table = pd.DataFrame({"image_id": image_id, "query_id": query_id, "source": "expert", "rater": rater})
    return table.assign(rating=rating, scale_min=1.0, scale_max=4.0, votes=1)


def crowd(image_id: list[str], yes: np.ndarray, votes: int, query_id: str = "t") -> pd.DataFrame:
    table = pd.DataFrame({"image_id": image_id, "query_id": query_id, "source": "crowd", "rater": None})
    return table.assign(rating=np.asarray(yes) / votes, scale_min=0.0, scale_max=1.0, votes=votes)


def aggregate(ratings: pd.DataFrame) -> pd.DataFrame:
    return aggregate_ratings(ratings, AggregateParams(expert="graded_response", crowd_weight=0.3)).relevance


def simulate(n: int, seed: int = 0) -> tuple[pd.DataFrame, pd.Series]:
    """Simulate the ratings of n pairs.

    All pairs are rated by experts a (strict), b (lenient) and c (inattentive). The second half of the pairs also has
    five crowd votes per pair.

    Returns:
        The ratings, and the true relevance by image_id.
    """
    rng = np.random.default_rng(seed)
    point = rng.choice(len(GRID), n, p=np.exp(-3 * GRID) / np.exp(-3 * GRID).sum())
    ids = [f"{number:05d}.jpg" for number in range(n)]
    tables = []
    for number, rater in enumerate("abc", start=1):
        cumulative = EXPERT_CURVES.probabilities()[number].T[point].cumsum(axis=1)
        tables.append(expert(ids, 1.0 + (rng.random(n)[:, None] > cumulative).sum(axis=1), rater))
    half, mean = n // 2, CROWD_CURVE.yes_probability()[point]
    concentration = (1 - CROWD_CURVE.correlation) / CROWD_CURVE.correlation
    yes = rng.binomial(5, rng.beta(mean * concentration, (1 - mean) * concentration))
    tables.append(crowd(ids[half:], yes[half:], 5))
    return pd.concat(tables, ignore_index=True), pd.Series(EXPERT_CURVES.expected_rating(LEVELS)[point], index=ids)


@pytest.fixture(scope="module")
def simulated() -> tuple[pd.DataFrame, pd.Series]:
    return simulate(4000)


@pytest.fixture(scope="module")
def model(simulated: tuple[pd.DataFrame, pd.Series]) -> GradedResponseModel:
    return fit_graded_response(simulated[0])


def test_simulated_parameters_are_recovered(model: GradedResponseModel) -> None:
    assert model.raters == ("a", "b", "c")
    np.testing.assert_allclose(model.rater_curves.log_gap, EXPERT_CURVES.log_gap, atol=0.15)
    np.testing.assert_allclose(model.rater_curves.leniency[1:], [-1.0, 1.0, 0.0], atol=0.25)
    lapses = 1 / (1 + np.exp(-model.rater_curves.lapse[1:]))
    np.testing.assert_allclose(lapses, [0.02, 0.02, 0.31], atol=0.05)
    np.testing.assert_allclose(model.crowd_curve.yes_probability(), CROWD_CURVE.yes_probability(), atol=0.08)


def test_posterior_is_calibrated_and_closer_to_the_truth_than_the_mean(
    simulated: tuple[pd.DataFrame, pd.Series],
) -> None:
    ratings, truth = simulated
    relevance = aggregate(ratings).set_index("image_id")
    standardised = (relevance["relevance"] - truth) / relevance["sd"]
    assert abs(standardised.mean()) < 0.05
    assert standardised.std() == pytest.approx(1.0, abs=0.1)
    mean = ratings[ratings["source"] == "expert"].groupby("image_id")["rating"].mean()
    assert ((relevance["relevance"] - truth) ** 2).mean() < 0.6 * (((mean - 1) / 3 - truth) ** 2).mean()


def test_result_does_not_depend_on_the_order_of_ratings(simulated: tuple[pd.DataFrame, pd.Series]) -> None:
    ratings = simulated[0][simulated[0]["image_id"] < "00300"]
    pd.testing.assert_frame_equal(aggregate(ratings.sample(frac=1, random_state=1)), aggregate(ratings))


def test_agreeing_ratings_reduce_the_standard_deviation() -> None:
    base, _ = simulate(600)
    base = base.assign(rater=None)
    extra = [expert(["agree"] * 3, [2.0, 2.0, 2.0]), expert(["apart"] * 3, [1.0, 2.0, 3.0]), crowd(["vote"], [1], 1)]
    relevance = aggregate(pd.concat([base, *extra])).set_index("image_id")
    assert relevance.loc["agree", "sd"] < relevance.loc["apart", "sd"] < relevance.loc["vote", "sd"]
    assert relevance.loc["agree", "weight"] > relevance.loc["apart", "weight"] > relevance.loc["vote", "weight"] > 0
    assert relevance["weight"].max() <= 1


def test_more_votes_move_the_relevance_further(model: GradedResponseModel) -> None:
    patterns = model.find_patterns(
        pd.concat([crowd([f"{yes} of {n}"], [yes], n) for yes, n in [(0, 1), (0, 5), (1, 1), (5, 5)]])
    )
    mean = model.posterior_moments(patterns)[0][patterns.pattern_of_pair]
    relevance = dict(zip(patterns.pairs["image_id"], mean, strict=True))
    assert relevance["0 of 5"] < relevance["0 of 1"] < relevance["1 of 1"] < relevance["5 of 5"]


@pytest.mark.parametrize(
    "ratings",
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
        "one rating per pair",
        "equal ratings",
        "crowd only",
        "a single rating",
        "half votes",
        "seven levels",
        "percentages",
        "yes or no",
    ],
)
def test_few_ratings_on_any_scale_give_a_plausible_relevance(ratings: pd.DataFrame) -> None:
    relevance = aggregate(ratings).set_index("image_id")
    assert relevance["relevance"].between(0, 1).all()
    assert (relevance["sd"] > 0).all()
    assert relevance["weight"].between(0, 1, inclusive="right").all()
    unit = (ratings["rating"] - ratings["scale_min"]) / (ratings["scale_max"] - ratings["scale_min"])
    order = unit.groupby(ratings["image_id"]).mean().sort_values(kind="stable").index
    assert relevance.loc[order, "relevance"].is_monotonic_increasing


def test_levels_are_the_steps_of_the_scale_and_the_ratings_between_them() -> None:
    np.testing.assert_allclose(find_levels(expert(["a"], [1.0])), LEVELS, atol=1e-6)
    np.testing.assert_allclose(find_levels(expert(["a"], [1.5])), [0, 1 / 6, 1 / 3, 2 / 3, 1], atol=1e-6)
    percentages = expert(["a"] * 30, np.arange(30.0)).assign(scale_min=0.0, scale_max=100.0)
    np.testing.assert_allclose(find_levels(percentages), np.linspace(0, 1, 11))


def test_pairs_with_the_same_ratings_share_a_pattern() -> None:
    ratings = pd.concat([expert(["a", "a", "b", "b", "c"], [1.0, 2.0, 2.0, 1.0, 1.0]), crowd(["c", "d"], [1, 2], 3)])
    patterns = find_patterns(ratings, LEVELS, ())
    pattern = patterns.pattern_of_pair
    assert patterns.pairs["image_id"].tolist() == ["a", "b", "c", "d"]
    assert pattern[0] == pattern[1]
    assert sorted(patterns.n_pairs) == [1, 1, 2]
    assert patterns.rating_counts.toarray()[pattern].tolist() == [[1, 1, 0, 0], [1, 1, 0, 0], [1, 0, 0, 0], [0] * 4]
    assert patterns.votes[patterns.votes_row][pattern].tolist() == [[0, 0], [0, 0], [1, 3], [2, 3]]


def test_votes_are_inferred_from_shares_if_their_number_is_unknown() -> None:
    shares = np.array([0.3333, 0.25, 0.0, 1.0, 0.67])
    assert infer_votes(shares, np.ones(5)).tolist() == [3, 4, 3, 3, 3]
    assert infer_votes(shares, np.full(5, 4.0)).tolist() == [4] * 5
    assert infer_votes(np.array([0.0, 1.0]), np.ones(2)).tolist() == [1, 1]


def test_next_ratings_are_the_most_informative_pairs(model: GradedResponseModel) -> None:
    ratings = pd.concat([expert(["sure"] * 3, [1.0, 1.0, 1.0]), crowd(["open"], [2], 5), expert(["known"], [2.0])])
    images = pd.DataFrame({"image_id": ["sure", "open", "known"], "path": "p"})
    queries = pd.DataFrame({"query_id": ["t"], "text": ["a dog"]})
    selected = select_next_ratings(ratings, model, images, queries, 2)
    assert selected["image_id"].tolist() == ["open", "known"]
    assert (selected["sd_after"] < selected["sd"]).all()
    assert selected["text"].tolist() == ["a dog", "a dog"]


def test_agreement_lists_the_inattentive_rater_first(
    simulated: tuple[pd.DataFrame, pd.Series], model: GradedResponseModel
) -> None:
    agreement = measure_agreement(simulated[0], model)
    assert next(iter(agreement["raters"])) == "c"
    assert agreement["raters"]["a"]["leniency"] < 0 < agreement["raters"]["b"]["leniency"]
    assert 0 < agreement["icc"] < agreement["icc_mean"] < 1
    assert agreement["sd"]["after_one_expert"] < agreement["sd"]["before"]
    assert agreement["sd"]["after_5_votes"] < agreement["sd"]["before"]
    assert sum(sum(votes.values()) for votes in agreement["crowd_by_expert"].values()) == 2000


def test_agreement_of_equal_ratings_is_perfect() -> None:
    ratings = expert(["a", "a", "b", "b", "c", "c", "d"], [1.0, 1.0, 4.0, 4.0, 2.0, 2.0, 3.0])
    agreement = measure_agreement(ratings, fit_graded_response(ratings))
    assert agreement["krippendorff_alpha"] == pytest.approx(1.0)
    assert agreement["icc"] == pytest.approx(1.0)


def test_agreement_of_a_single_rating_is_undefined() -> None:
    ratings = expert(["a"], [3.0])
    agreement = measure_agreement(ratings, fit_graded_response(ratings))
    assert agreement["krippendorff_alpha"] is None
    assert agreement["icc"] is None
    assert agreement["crowd_by_expert"] == {}


@pytest.mark.slow
def test_a_million_pairs_have_few_patterns(model: GradedResponseModel) -> None:
    rng = np.random.default_rng(0)
    ids = pd.Series(np.arange(1_000_000)).astype("str")
    ratings = pd.concat([expert(ids, rng.integers(1, 5, len(ids)) * 1.0) for _ in range(2)])
    patterns = replace(model, raters=()).find_patterns(ratings)
    assert len(patterns.n_pairs) == 10
    assert patterns.n_pairs.sum() == 1_000_000
