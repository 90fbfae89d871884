"""The judge: every rating is left out once, nothing of a photo is learned from itself, and the better method wins."""

import numpy as np
import pandas as pd

from kadr.aggregate.method_comparison import leave_one_out, questions


def rated(n: int, seed: int = 0) -> pd.DataFrame:
    """n photos, each with one pair rated by two experts and three voters who see the same truth."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(1, 5, n)
    ids = [f"{number:03d}.jpg" for number in range(n)]
    common = pd.DataFrame({"image_id": ids, "query_id": "t", "rater": None})
    expert = [
        common.assign(source="expert", rating=np.clip(truth + rng.integers(-1, 2, n), 1, 4) * 1.0, votes=1)
        for _ in range(2)
    ]
    share = rng.binomial(3, (truth - 1) / 3) / 3
    table = pd.concat([*expert, common.assign(source="crowd", rating=share, votes=3)], ignore_index=True)
    is_expert = table["source"] == "expert"
    return table.assign(scale_min=is_expert * 1.0, scale_max=np.where(is_expert, 4.0, 1.0))


def test_each_rating_is_asked_for_once_beside_all_others() -> None:
    table = rated(2)
    single = table[:1].assign(image_id="single")
    asked = questions(pd.concat([table, single]))
    assert asked["left"].sum() == 4
    assert asked.groupby(["image_id", "query_id"]).size().tolist() == [3] * 4
    assert sorted(asked.loc[asked["left"], "rating"]) == sorted(table.loc[table["source"] == "expert", "rating"])
    assert asked["voted"].all()
    assert questions(table[:0]).empty


def test_the_model_predicts_better_than_the_mean_and_the_order_changes_nothing() -> None:
    table = rated(300)
    judged = leave_one_out(table, 3, 0)
    loss = judged.groupby("method")[["log_loss", "squared_error"]].mean()
    assert judged.groupby("method").size().eq(600).all()
    assert (loss.loc["graded_response"] < loss.loc["mean"]).all()
    assert (loss.loc["graded_response"] < loss.loc["graded_response, crowd alone"]).all()
    assert np.isfinite(judged["log_loss"]).all()
    again = leave_one_out(table, 3, 0)
    pd.testing.assert_frame_equal(again, judged)
