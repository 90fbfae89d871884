"""The aggregate part's judge: which method predicts best what one more expert says of a pair.

Leave one expert out: every expert rating of a pair with two or more is predicted from the pair's other ratings. All
that a method learns, it learns on other photos. Columns of ratings may be sorted, so there is no choice of the one to
leave out: each is, in turn.

A method that gives a number is made to give a distribution: the ratings that its number, rounded to a twentieth, went
with on the other photos, and SMOOTHING ratings more, dealt as all ratings are.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd

from kadr.aggregate.crowd_scale import to_expert_scale
from kadr.aggregate.graded_response import GradedResponse, fit
from kadr.aggregate.majority import Majority
from kadr.aggregate.mean import Mean
from kadr.aggregate.median import Median
from kadr.aggregate.response_patterns import Matrix, Values, find_levels, nearest
from kadr.io.schemas import PAIR, on_unit

SMOOTHING = 4.0
CROWD_WEIGHT = 0.3  # in `mean_and_crowd`
_NOT_VOTED = -1.0


def leave_one_out(ratings: pd.DataFrame, n_folds: int, seed: int) -> pd.DataFrame:
    """Judge every method on every expert rating of a pair that has more.

    Args:
        ratings: columns of RATINGS.
        n_folds: groups of photos held out in turn.
        seed: of the folds.

    Returns:
        method, image_id, query_id, voted (whether the crowd rated the pair too), log_loss, and squared_error of the
        expected rating on 0..1; a row per method and rating.
    """
    levels = find_levels(ratings[ratings["source"] == "expert"])
    photos = np.unique(ratings["image_id"].to_numpy(dtype=str))
    fold = pd.Series(np.random.default_rng(seed).permutation(len(photos)) % n_folds, index=photos)
    held = ratings["image_id"].map(fold)
    judged = []
    for number in range(n_folds):
        known, asked = ratings[held != number], questions(ratings[held == number])
        answers = asked[asked["left"]]
        truth = nearest(levels, on_unit(answers))
        for name, chances in [*_by_numbers(questions(known), asked, levels), *_by_models(known, asked, levels)]:
            error = (chances @ levels - levels[truth]) ** 2
            losses = {"log_loss": -np.log(chances[np.arange(len(truth)), truth]), "squared_error": error}
            judged.append(answers[[*PAIR, "voted"]].assign(method=name, **losses))
    return pd.concat(judged, ignore_index=True)


def questions(ratings: pd.DataFrame) -> pd.DataFrame:
    """Each expert rating of a pair with two or more (`left`), and beside it what else was said of that pair.

    Returns:
        Columns of RATINGS, `left`, and `voted` (whether the crowd rated the pair); the query_id is the pair's and the
        number of the rating, so that every question is a pair of its own. Sorted by image_id and query_id.
    """
    expert = ratings["source"] == "expert"
    keys = [ratings[name] for name in PAIR]
    n_expert = expert.groupby(keys).transform("sum")
    voted = (~expert).groupby(keys).transform("any")
    place = ratings.groupby([*PAIR, "source"]).cumcount()
    said = ratings.assign(place=place, n_expert=n_expert, voted=voted)
    n_turns = max(int(n_expert.max()) if len(said) else 0, 1)
    every = pd.concat([_turn(said, turn) for turn in range(n_turns)])
    return every.drop(columns=["place", "n_expert"]).sort_values(PAIR, kind="stable", ignore_index=True)


def _turn(said: pd.DataFrame, turn: int) -> pd.DataFrame:
    """The questions that leave out the expert rating of this number."""
    asked = said[said["n_expert"] > max(turn, 1)]
    left = (asked["source"] == "expert") & (asked["place"] == turn)
    return asked.assign(left=left, query_id=asked["query_id"] + f"\n{turn}")


_NUMBERS = {
    "mean": ["mean"],
    "median": ["median"],
    "majority": ["majority"],
    "crowd share": ["share"],
    "mean and crowd": ["mean_and_crowd"],
    "table of mean and share": ["mean", "share"],
}
"""Method -> the numbers (see `_numbers`) that its prediction depends on."""


def _by_numbers(learned: pd.DataFrame, asked: pd.DataFrame, levels: Values) -> Iterator[tuple[str, Matrix]]:
    """The methods that give a number, with the distribution that goes with it."""
    known, new = _numbers(learned), _numbers(asked)
    truth = nearest(levels, on_unit(learned[learned["left"]]))
    both = pd.concat([known, new])
    scaled = to_expert_scale(  # learned on `known` alone
        both["share"].to_numpy(), both["votes"].to_numpy(), np.append(known["mean"], np.full(len(new), np.nan))
    )
    joined = ((both["mean"] + CROWD_WEIGHT * scaled) / (1 + CROWD_WEIGHT)).where(both["votes"] > 0, both["mean"])
    binned = both.assign(mean_and_crowd=joined).mul(20).round().fillna(_NOT_VOTED)
    for name, columns in _NUMBERS.items():
        key = binned.groupby(columns).ngroup().to_numpy()
        counts = np.zeros((key.max() + 1, len(levels)))
        np.add.at(counts, (key[: len(known)], truth), 1.0)
        dealt = np.bincount(truth, minlength=len(levels)) + 1 / len(levels)
        counts += SMOOTHING * dealt / dealt.sum()
        yield name, (counts / counts.sum(axis=1, keepdims=True))[key[len(known) :]]


def _numbers(asked: pd.DataFrame) -> pd.DataFrame:
    """Mean, median and majority of each question's other experts, the crowd's share (NaN without) and its votes."""
    rest = asked[~asked["left"]].assign(rating=on_unit)
    expert, crowd = rest[rest["source"] == "expert"], rest[rest["source"] == "crowd"]
    found = asked.loc[asked["left"], PAIR]
    for name, method in (("mean", Mean()), ("median", Median()), ("majority", Majority())):
        found = found.merge(method.fit_predict(expert).rename(columns={"rating": name}), on=PAIR, how="left")
    found = found.merge(Mean().fit_predict(crowd).rename(columns={"rating": "share"}), on=PAIR, how="left")
    votes = crowd.groupby(PAIR)["votes"].sum().rename("votes").reset_index()
    return found.merge(votes, on=PAIR, how="left").fillna({"votes": 0}).drop(columns=PAIR).astype(float)


def _by_models(known: pd.DataFrame, asked: pd.DataFrame, levels: Values) -> Iterator[tuple[str, Matrix]]:
    """Our model, and with less: without the raters' names, by experts alone, by the crowd alone."""
    model = fit(known, levels)
    yield "graded_response", _predicted(model, asked)
    yield "graded_response, crowd alone", _predicted(model, asked, crowd_alone=True)
    if model.raters:
        yield (
            "graded_response, raters unknown",
            _predicted(fit(known.assign(rater=None), levels), asked.assign(rater=None)),
        )
    by_expert = asked[asked["source"] == "expert"]
    yield "graded_response, experts alone", _predicted(fit(known[known["source"] == "expert"], levels), by_expert)


def _predicted(model: GradedResponse, asked: pd.DataFrame, *, crowd_alone: bool = False) -> Matrix:
    """(n_questions, K) the chance of each level of the rating that is left out, by its own rater where known."""
    rest, left = asked[~asked["left"]], asked[asked["left"]]
    patterns = model.patterns(rest)
    if crowd_alone:
        patterns = replace(patterns, cells=patterns.cells * 0.0)
    posterior = model.posterior(patterns)[patterns.of_pair]
    row = {name: at for at, name in enumerate(model.raters, start=1)}
    rater = left["rater"].map(row).fillna(0).to_numpy(dtype=np.int64)
    chances: Matrix = np.einsum("ng,nkg->nk", posterior, model.chances[rater])
    return chances
