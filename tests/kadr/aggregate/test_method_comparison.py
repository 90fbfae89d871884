"""Test the leave-one-out comparison of aggregation methods."""

import numpy as np
import pandas as pd

from kadr.aggregate.method_comparison import compare_methods, leave_one_out_tasks

N_IMAGES = 300


def simulate_ratings(n: int, seed: int = 0) -> pd.DataFrame:
    """Simulate n pairs. Two experts and three voters rate each pair, based on the same true relevance."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(1, 5, n)
    pairs = pd.DataFrame({"image_id": [f"{number:03d}.jpg" for number in range(n)], "query_id": "t", "rater": None})
    expert = [
        pairs.assign(source="expert", rating=np.clip(truth + rng.integers(-1, 2, n), 1, 4) * 1.0, votes=1)
        for _ in range(2)
    ]
    share = rng.binomial(3, (truth - 1) / 3) / 3
    table = pd.concat([*expert, pairs.assign(source="crowd", rating=share, votes=3)], ignore_index=True)
    is_expert = table["source"] == "expert"
    return table.assign(scale_min=is_expert * 1.0, scale_max=np.where(is_expert, 4.0, 1.0))


def test_every_rating_of_a_repeatedly_rated_pair_is_left_out_once() -> None:
    table = simulate_ratings(2)
    single = table[:1].assign(image_id="single")
    tasks = leave_one_out_tasks(pd.concat([table, single]))
    assert tasks["left_out"].sum() == 4
    assert tasks.groupby(["image_id", "query_id"]).size().tolist() == [3] * 4
    assert sorted(tasks.loc[tasks["left_out"], "rating"]) == sorted(table.loc[table["source"] == "expert", "rating"])
    assert tasks["voted"].all()
    assert leave_one_out_tasks(table[:0]).empty


def test_model_predicts_better_than_the_mean_and_than_the_crowd_alone() -> None:
    losses = compare_methods(simulate_ratings(N_IMAGES), 3, 0)
    mean_loss = losses.groupby("method")[["log_loss", "squared_error"]].mean()
    assert losses.groupby("method").size().eq(2 * N_IMAGES).all()
    assert np.isfinite(losses["log_loss"]).all()
    assert (mean_loss.loc["graded_response"] < mean_loss.loc["mean"]).all()
    assert (mean_loss.loc["graded_response"] < mean_loss.loc["graded_response, crowd alone"]).all()


def test_losses_do_not_depend_on_the_order_of_ratings() -> None:
    ratings = simulate_ratings(40)
    shuffled = ratings.sample(frac=1, random_state=1)
    assert not shuffled["image_id"].reset_index(drop=True).equals(ratings["image_id"])
    pd.testing.assert_frame_equal(compare_methods(shuffled, 3, 0), compare_methods(ratings, 3, 0))
