"""Compare aggregation methods by leave-one-out prediction of expert ratings.

For each pair with two or more expert ratings, every expert rating is predicted from the other ratings of the pair. All
parameters are learned from the ratings of other images. Every rating of a pair is left out in turn because some
datasets sort the ratings of each pair.

The comparison needs a predicted probability for each rating level. Some methods return only a number, which is rounded
to a multiple of 0.05. In that case, the probability of a level is its relative frequency among the left-out ratings of
other images with the same number. To smooth the frequencies, SMOOTHING ratings with the overall distribution of levels
are added.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd

from kadr.aggregate.crowd_calibration import calibrate_crowd
from kadr.aggregate.graded_response_model import GradedResponseModel, fit_graded_response
from kadr.aggregate.majority import Majority
from kadr.aggregate.mean import Mean
from kadr.aggregate.median import Median
from kadr.aggregate.response_patterns import Matrix, Values, find_levels, nearest_level
from kadr.io.schemas import PAIR, scale_to_unit

REFERENCE = "graded_response"
"""The reference method of benchmarks/ratings.py, which reports how much the other methods differ from it."""

SMOOTHING = 4.0
CROWD_WEIGHT = 0.3
_NO_VOTES = -1.0

_NUMERIC_METHODS = {
    "mean": ["mean"],
    "median": ["median"],
    "majority": ["majority"],
    "crowd share": ["share"],
    "mean and crowd": ["mean_and_crowd"],
    "table of mean and share": ["mean", "share"],
}
"""Maps each method that returns numbers to the columns of `_aggregate_others` that determine its predictions."""


def compare_methods(ratings: pd.DataFrame, n_folds: int, seed: int) -> pd.DataFrame:
    """Compute the prediction losses of all methods. The order of the ratings does not change the result.

    Args:
        ratings: table with the RATINGS schema.
        n_folds: number of cross-validation folds. Images are assigned to folds at random.
        seed: random seed of the fold assignment.

    Returns:
        One row per method and left-out rating, with columns method, image_id, query_id, voted (whether the crowd rated
        the pair), log_loss, and squared_error (of the expected rating, scaled to 0..1).
    """
    ratings = ratings.sort_values([*PAIR, "source", "rater", "rating", "votes"], ignore_index=True)
    levels = find_levels(ratings[ratings["source"] == "expert"])
    image_ids = np.unique(ratings["image_id"].to_numpy(dtype=str))
    fold_of_image = pd.Series(np.random.default_rng(seed).permutation(len(image_ids)) % n_folds, index=image_ids)
    fold = ratings["image_id"].map(fold_of_image)
    losses = []
    for number in range(n_folds):
        train, test = ratings[fold != number], leave_one_out_tasks(ratings[fold == number])
        left_out = test[test["left_out"]]
        truth = nearest_level(levels, scale_to_unit(left_out))
        numeric = _predict_from_numbers(leave_one_out_tasks(train), test, levels)
        for method, probabilities in [*numeric, *_predict_from_models(train, test, levels)]:
            losses.append(
                left_out[[*PAIR, "voted"]].assign(
                    method=method,
                    log_loss=-np.log(probabilities[np.arange(len(truth)), truth]),
                    squared_error=(probabilities @ levels - levels[truth]) ** 2,
                )
            )
    return pd.concat(losses, ignore_index=True)


def leave_one_out_tasks(ratings: pd.DataFrame) -> pd.DataFrame:
    """Create one prediction task for each expert rating of a pair with two or more expert ratings.

    Args:
        ratings: table with the RATINGS schema.

    Returns:
        Ratings of all tasks, sorted by image_id and query_id. In addition to the columns of the RATINGS schema, the
        table has the columns left_out (whether to predict this rating) and voted (whether the crowd rated the pair).
        The task number is appended to query_id, so that each task has a unique combination of image_id and query_id.
    """
    is_expert = ratings["source"] == "expert"
    keys = [ratings[name] for name in PAIR]
    n_expert = is_expert.groupby(keys).transform("sum")
    voted = (~is_expert).groupby(keys).transform("any")
    position = ratings.groupby([*PAIR, "source"]).cumcount()
    numbered = ratings.assign(position=position, n_expert=n_expert, voted=voted)
    n_tasks = max(int(n_expert.max()) if len(numbered) else 0, 1)
    tasks = pd.concat([_leave_out(numbered, number) for number in range(n_tasks)])
    return tasks.drop(columns=["position", "n_expert"]).sort_values(PAIR, kind="stable", ignore_index=True)


def _leave_out(numbered: pd.DataFrame, number: int) -> pd.DataFrame:
    """Return one task per pair. The expert rating at position `number` is left out of each task."""
    ratings = numbered[numbered["n_expert"] > max(number, 1)]
    left_out = (ratings["source"] == "expert") & (ratings["position"] == number)
    return ratings.assign(left_out=left_out, query_id=ratings["query_id"] + f"\n{number}")


def _predict_from_numbers(train: pd.DataFrame, test: pd.DataFrame, levels: Values) -> Iterator[tuple[str, Matrix]]:
    """Yield the name and the predicted probabilities of each method that returns numbers."""
    train_numbers, test_numbers = _aggregate_others(train), _aggregate_others(test)
    n_train = len(train_numbers)
    truth = nearest_level(levels, scale_to_unit(train[train["left_out"]]))
    numbers = pd.concat([train_numbers, test_numbers])
    # The expert means of the test tasks are NaN, so that the calibration uses training tasks only.
    expert = np.append(train_numbers["mean"], np.full(len(test_numbers), np.nan))
    calibrated = calibrate_crowd(numbers["share"].to_numpy(), numbers["votes"].to_numpy(), expert)
    combined = (numbers["mean"] + CROWD_WEIGHT * calibrated) / (1 + CROWD_WEIGHT)
    numbers = numbers.assign(mean_and_crowd=combined.where(numbers["votes"] > 0, numbers["mean"]))
    binned = numbers.mul(20).round().fillna(_NO_VOTES)
    overall = np.bincount(truth, minlength=len(levels)) + 1 / len(levels)
    for method, columns in _NUMERIC_METHODS.items():
        group = binned.groupby(columns).ngroup().to_numpy()
        counts = np.zeros((group.max() + 1, len(levels)))
        np.add.at(counts, (group[:n_train], truth), 1.0)
        counts += SMOOTHING * overall / overall.sum()
        yield method, (counts / counts.sum(axis=1, keepdims=True))[group[n_train:]]


def _aggregate_others(tasks: pd.DataFrame) -> pd.DataFrame:
    """Aggregate all ratings of each task except the left-out rating.

    Returns:
        One row per task. The columns mean, median and majority contain the aggregated ratings of the other experts. The
        column share contains the share of yes votes (NaN without votes), and the column votes contains the number of
        votes.
    """
    others = tasks[~tasks["left_out"]].assign(unit_rating=scale_to_unit)
    expert, crowd = others[others["source"] == "expert"], others[others["source"] == "crowd"]
    numbers = tasks.loc[tasks["left_out"], PAIR]
    for name, method, ratings in (
        ("mean", Mean(), expert),
        ("median", Median(), expert),
        ("majority", Majority(), expert),
        ("share", Mean(), crowd),
    ):
        aggregated = method.fit_predict(ratings).rename(columns={"relevance": name})
        numbers = numbers.merge(aggregated, on=PAIR, how="left")
    votes = crowd.groupby(PAIR)["votes"].sum().rename("votes").reset_index()
    return numbers.merge(votes, on=PAIR, how="left").fillna({"votes": 0}).drop(columns=PAIR).astype(float)


def _predict_from_models(train: pd.DataFrame, test: pd.DataFrame, levels: Values) -> Iterator[tuple[str, Matrix]]:
    """Yield the name and the predicted probabilities of each variant of the graded response model.

    One variant uses all ratings. The other variants predict from crowd votes only, ignore the rater IDs, or ignore the
    crowd votes.
    """
    model = fit_graded_response(train, levels)
    yield REFERENCE, _predict_left_out(model, test)
    yield f"{REFERENCE}, crowd alone", _predict_left_out(model, test, crowd_only=True)
    if model.raters:
        anonymous = fit_graded_response(train.assign(rater=None), levels)
        yield f"{REFERENCE}, raters unknown", _predict_left_out(anonymous, test.assign(rater=None))
    experts_only = fit_graded_response(train[train["source"] == "expert"], levels)
    yield f"{REFERENCE}, experts alone", _predict_left_out(experts_only, test[test["source"] == "expert"])


def _predict_left_out(model: GradedResponseModel, tasks: pd.DataFrame, *, crowd_only: bool = False) -> Matrix:
    """Predict the probability of each level for each left-out rating: (n_tasks, n_levels)."""
    others, left_out = tasks[~tasks["left_out"]], tasks[tasks["left_out"]]
    patterns = model.find_patterns(others)
    if crowd_only:
        patterns = replace(patterns, rating_counts=patterns.rating_counts * 0.0)
    posterior = model.posterior(patterns)[patterns.pattern_of_pair]
    rater_number = {name: number for number, name in enumerate(model.raters, start=1)}
    rater = left_out["rater"].map(rater_number).fillna(0).to_numpy(dtype=np.int64)
    probabilities: Matrix = np.einsum("ng,nkg->nk", posterior, model.rating_probabilities[rater])
    return probabilities
